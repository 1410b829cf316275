import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { dwLines, workThroughDocument } from './kit/document.ts'
import { givenMaterial, skipWithout } from './kit/given-material.ts'
import { findNode20 } from './kit/old-node.ts'

const nodePath = findNode20()
const skip =
  nodePath === null ? 'no Node 20 on the PATH of this machine' : skipWithout(givenMaterial.document)

describe('each line of the document works with a Node 20 first on the PATH', {
  concurrency: true,
  skip,
}, () => {
  const lines = dwLines(readFileSync(givenMaterial.document, 'utf8'))
  for (const place of ['pipe', 'terminal'] as const) {
    test(`in a ${place}`, () => workThroughDocument(lines, { place, nodePath: nodePath ?? '' }))
  }
})
