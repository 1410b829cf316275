import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidateUrls } from './upstream-check.ts'

test('an address is meant with and without its version, and also that of a route', () => {
  const cases: Record<string, string[]> = {
    'http://localhost:8000': ['http://localhost:8000/v1', 'http://localhost:8000'],
    'http://localhost:8000/': ['http://localhost:8000/v1', 'http://localhost:8000'],
    'http://localhost:8000/v1/': ['http://localhost:8000/v1'],
    'http://localhost:8000/v1/chat/completions': ['http://localhost:8000/v1'],
    'http://localhost:8000/v1/models?limit=1': ['http://localhost:8000/v1'],
    'https://a.example/openai': ['https://a.example/openai', 'https://a.example/openai/v1'],
    'https://a.example/v1beta/openai': [
      'https://a.example/v1beta/openai',
      'https://a.example/v1beta/openai/v1',
    ],
    'https://a.example/models': ['https://a.example/v1', 'https://a.example'],
  }
  for (const [given, wanted] of Object.entries(cases)) assert.deepEqual(candidateUrls(given), wanted, given)
})
