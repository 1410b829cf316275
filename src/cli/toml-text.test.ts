import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse, stringify, type TomlTable } from 'smol-toml'
import { editToml, lineNumberOf } from './toml-text.ts'

const plain = (table: TomlTable): unknown => JSON.parse(JSON.stringify(table))
const name = fc.stringMatching(/^[a-z .@:0-9-]{1,8}$/)
const leaf = fc.oneof(fc.string({ unit: 'grapheme-ascii' }), fc.boolean(), fc.integer())
const config: fc.Arbitrary<TomlTable> = fc.record(
  {
    active: fc.string(),
    profiles: fc.dictionary(name, fc.dictionary(name, leaf, { minKeys: 1, noNullPrototype: true }), {
      noNullPrototype: true,
    }),
  },
  { requiredKeys: [] },
)

test('a file made from anything is edited into anything, and its comments stay', () => {
  fc.assert(
    fc.property(config, config, (from, to) => {
      const text = `# ours\n${stringify(from)}\n# the end`
      const edited = editToml(text, to)
      assert.deepEqual(plain(parse(edited.text)), plain(to))
      if (edited.areCommentsKept) assert.match(edited.text, /# ours\n[\s\S]*# the end/)
    }),
  )
})

test('an ordinary change leaves every other line as it is', () => {
  const text =
    'active = "a"\n\n# why\n[profiles.a]\nurl = "u" # here\nkey = "k"\n\n[profiles."b c"]\nurl = "v"\n'
  const content = parse(text) as { active: string; profiles: Record<string, Record<string, string>> }
  const changed = {
    ...content,
    profiles: { ...content.profiles, a: { ...content.profiles.a, key: 'new', model: 'm' } },
  }
  assert.deepEqual(editToml(text, changed), {
    text: text.replace('key = "k"', 'key = "new"\nmodel = "m"'),
    areCommentsKept: true,
  })
  const renamed = editToml(
    text,
    { active: 'z', profiles: { z: { url: 'u', key: 'k' }, 'b c': { url: 'v' } } },
    { renamed: { from: ['profiles', 'a'], to: ['profiles', 'z'] } },
  )
  assert.equal(renamed.text, text.replace('[profiles.a]', '[profiles.z]').replace('"a"', '"z"'))
})

test('a form that lines do not tell is written anew, and says so', () => {
  const text = '# mine\nprofiles = { a = { url = "u" } }\nnote = """\n[profiles.b]\n"""\n'
  const edited = editToml(text, { profiles: { a: { url: 'w' } }, note: '[profiles.b]\n' })
  assert.deepEqual(plain(parse(edited.text)), { profiles: { a: { url: 'w' } }, note: '[profiles.b]\n' })
  assert.equal(edited.areCommentsKept, false)
})

test('a value is found by its line, and one that looks like it in a text is not', () => {
  const text = 'note = """\nserver = "fake"\n"""\nserver = "real"\n\n["a b"]\nserver = "other"\n'
  assert.equal(lineNumberOf(text, ['server']), 4)
  assert.equal(lineNumberOf(text, ['a b', 'server']), 7)
  assert.equal(lineNumberOf(text, ['absent']), null)
})
