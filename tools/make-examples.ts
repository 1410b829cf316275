/**
 * Writes `examples/mixed.jsonl`: a few hundred varied chat requests for the simulated model, some of which fail on purpose.
 * Always the same bytes; a test compares the committed file with `exampleLines()`.
 *
 *   node tools/make-examples.ts [FILE]
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createSeededRandom, type Random } from '../src/lib/random.ts'

const REQUESTS = 320

export const examplePath = fileURLToPath(new URL('../examples/mixed.jsonl', import.meta.url))

type Task = { name: string; system: string | null; prompt: (random: Random, number: number) => string }

const places = ['Lisbon', 'Nairobi', 'Oslo', 'Kyoto', 'Lima', 'Tartu', 'Accra', 'Hanoi', 'Quito', 'Bergen']
const things = ['a kettle', 'two bicycles', 'a paper map', 'the old radio', 'a bag of rice', 'seven chairs']
const reviews = [
  'Arrived early and works as described.',
  'The lid does not close, and nobody answers my mails.',
  'Good value, though the colour is not the one in the picture.',
  'Third one I buy. The first two still run.',
  'Es funktioniert, aber die Anleitung fehlt.',
  'La batterie tient à peine une heure.',
  '思ったより小さいですが、よく動きます。',
]
const sentences = [
  'The ferry leaves at six and returns before noon.',
  'Nobody had told the baker that the road was closed.',
  'Every second Tuesday the library stays open until midnight.',
  'The report was short, and most of it was a table.',
]
const languages = ['German', 'French', 'Spanish', 'Japanese', 'Arabic', 'Swahili', 'Portuguese', 'Finnish']

function pick<T>(random: Random, list: readonly T[]): T {
  const chosen = list[Math.floor(random.float() * list.length)]
  if (chosen === undefined) throw new Error('cannot pick from an empty list')
  return chosen
}

function amount(random: Random, max: number): number {
  return 2 + Math.floor(random.float() * max)
}

const tasks: readonly Task[] = [
  {
    name: 'sum',
    system: 'You are a patient teacher. Show each step.',
    prompt: (random) => {
      const [price, count] = [amount(random, 40), amount(random, 12)]
      const offer = `${pick(random, places)} market sells ${pick(random, things)} for ${price} coins.`
      const purse = price * count + amount(random, 30)
      return `${offer} What do ${count} of the same offers cost, and what is left of ${purse} coins?`
    },
  },
  {
    name: 'translate',
    system: 'Translate. Answer with the translation alone.',
    prompt: (random) => `Into ${pick(random, languages)}: ${pick(random, sentences)}`,
  },
  {
    name: 'sentiment',
    system: 'Label each review as positive, negative or mixed.',
    prompt: (random) => `Review: ${pick(random, reviews)}`,
  },
  {
    name: 'summary',
    system: null,
    prompt: (random) => {
      const paragraph = Array.from({ length: amount(random, 14) }, () => pick(random, sentences)).join(' ')
      return `Summarise in one sentence for a reader in ${pick(random, places)}:\n\n${paragraph}`
    },
  },
  {
    name: 'code',
    system: 'Answer with code and no commentary.',
    prompt: (random) =>
      `Write a function that returns every ${amount(random, 9)}th element of a list, ` +
      `starting at position ${amount(random, 5)}.\nIt must also work for "quoted" text, tabs\tand back\\slashes.`,
  },
  {
    name: 'greeting',
    system: null,
    prompt: (random) =>
      `${pick(random, ['Hello!', 'Guten Tag!', '¡Hola!', 'こんにちは', 'مرحبا', 'Γεια σου', 'Привет', '👋🏽'])} What should I see in ${pick(random, places)}?`,
  },
  {
    name: 'extract',
    system: 'Return a JSON object.',
    prompt: (random) =>
      `Find name and place: "${pick(random, ['Ada', 'Imre', 'Noor', 'Zoë', 'Søren'])} moved to ${pick(random, places)} with ${pick(random, things)}."`,
  },
]

/**
 * Failures on purpose, by number of the request: the simulated model reads the words in brackets. `content_filter` fails for
 * ever, `content_filter_once` succeeds when it is retried, `server_error:1` and `rate_limit:1` heal before anyone notices.
 */
function failureOf(number: number): string {
  if (number % 40 === 17) return ' [sim:content_filter]'
  if (number % 32 === 5) return ' [sim:content_filter_once]'
  if (number % 27 === 9) return ' [sim:server_error:1]'
  if (number % 53 === 11) return ' [sim:rate_limit:1]'
  return ''
}

function lineOf(number: number, random: Random): string {
  const task = tasks[number % tasks.length] as Task
  const content = task.prompt(random, number) + failureOf(number)
  const messages = [
    ...(task.system === null ? [] : [{ role: 'system', content: task.system }]),
    { role: 'user', content },
  ]
  const isJson = task.name === 'extract'
  const model = isJson ? 'sim/json' : number % 20 === 3 ? 'sim/echo' : 'sim/chat'
  const body = {
    model,
    messages,
    ...(isJson
      ? { response_format: { type: 'json_schema', json_schema: { name: 'person', schema: personSchema } } }
      : {}),
    ...(number % 9 === 4 ? { max_tokens: 16 } : {}),
    ...(number % 11 === 6 ? { temperature: 0.2 } : {}),
  }
  const customId = `${task.name}-${String(number + 1).padStart(3, '0')}`
  return JSON.stringify({ custom_id: customId, method: 'POST', url: '/v1/chat/completions', body })
}

const personSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, place: { enum: places } },
  required: ['name', 'place'],
  additionalProperties: false,
}

/** The whole file. */
export function exampleText(): string {
  const random = createSeededRandom(2024)
  return Array.from({ length: REQUESTS }, (_, number) => `${lineOf(number, random)}\n`).join('')
}

if (import.meta.main) {
  const path = process.argv[2] ?? examplePath
  writeFileSync(path, exampleText())
  console.error(`${path}: ${REQUESTS} requests`)
}
