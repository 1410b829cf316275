/**
 * The published shapes of what commands print with --json, one for each kind of line. Fields are only ever added. Imported by the
 * commands that print schemas and by tests alone: the parser of shapes would be half of the start-up time.
 */
import { z } from 'zod'
import * as local from './local-objects.ts'
import * as money from './money-objects.ts'
import * as reading from './reading-objects.ts'
import * as server from './server-objects.ts'

/** Raised only when a field had to be removed, renamed or changed in type. */
const VERSION = 'v1'

type Entry = { summary: string; schema: z.ZodType }

const entries = {
  batch: { summary: 'a batch', schema: server.batch },
  file: { summary: 'an uploaded file', schema: server.file },
  'file-deleted': { summary: 'the end of a file', schema: server.fileDeleted },
  model: { summary: 'a model', schema: server.model },
  completion: { summary: 'the answer of a model', schema: server.completion },
  'scanned-place': { summary: 'a usual place of an engine on this machine', schema: server.scannedPlace },
  analytics: { summary: 'tokens, latencies and cost of a batch', schema: server.analytics },
  'cost-estimate': { summary: 'expected tokens and cost of a file', schema: server.costEstimate },
  upstream: { summary: 'an engine behind the server', schema: server.upstream },
  'upstream-removed': { summary: 'the end of an upstream', schema: server.upstreamRemoved },
  server: { summary: 'a server that is ready', schema: local.server },
  key: { summary: 'a key', schema: server.key },
  'key-revoked': { summary: 'the end of a key', schema: server.keyRevoked },
  usage: { summary: 'what was used, of one group and bucket', schema: money.usage },
  price: { summary: 'what a model costs in a window', schema: money.price },
  webhook: { summary: 'who is told of the end of batches', schema: money.webhook },
  'webhook-deleted': { summary: 'the end of a webhook', schema: money.webhookDeleted },
  'webhook-test': { summary: 'what came of a test of a webhook', schema: money.webhookTest },
  delivery: { summary: 'an event on its way to a webhook', schema: money.delivery },
  'request-line': { summary: 'a line of a request file', schema: server.requestLine },
  'result-line': { summary: 'a line of a result or error file', schema: server.resultLine },
  'failure-group': { summary: 'requests of a batch that failed in one way', schema: reading.failureGroup },
  address: { summary: 'where something is', schema: reading.address },
  run: { summary: 'how a run came out', schema: local.run },
  'run-plan': { summary: 'what a run would do', schema: local.runPlan },
  validation: { summary: 'what is wrong with a request file', schema: local.validation },
  'file-stats': { summary: 'what a request file holds', schema: local.fileStats },
  'file-prepared': { summary: 'what was changed in a request file', schema: local.filePrepared },
  'file-made': { summary: 'the request file that was made', schema: local.fileMade },
  'file-sampled': { summary: 'the sample that was drawn', schema: local.fileSampled },
  'file-merged': { summary: 'the file that was put together', schema: local.fileMerged },
  'file-part': { summary: 'a part of a file that was cut', schema: local.filePart },
  'file-difference': { summary: 'a difference between two files', schema: local.fileDifference },
  'file-joined': { summary: 'the file of requests beside results', schema: local.fileJoined },
  'joined-line': { summary: 'a request beside its result', schema: local.joinedLine },
  configuration: { summary: 'which server is used and what named it', schema: local.configuration },
  profile: { summary: 'a stored server with its key and defaults', schema: local.profile },
  whoami: { summary: 'which server and key are used, and whose key it is', schema: local.whoami },
  'doctor-check': { summary: 'what one check of dw doctor found', schema: local.doctorCheck },
  error: { summary: 'an error, on standard error', schema: local.error },
  event: { summary: 'what happens, with --progress json or in --events-file', schema: local.event },
  'command-map': { summary: 'all commands', schema: local.commandMap },
  'json-schema': { summary: 'a schema', schema: local.jsonSchema },
  'schema-entry': { summary: 'a schema in the list of schemas', schema: local.schemaEntry },
} as const satisfies Record<string, Entry>

export type SchemaName = keyof typeof entries

// The keys of a constant are its names.
export const schemaNames = Object.keys(entries) as SchemaName[]

export function summaryOfSchema(name: SchemaName): string {
  return entries[name].summary
}

/** JSON Schema 2020-12. Objects may hold more than is named. */
export function jsonSchemaOf(name: SchemaName): { $id: string } & Record<string, unknown> {
  const { schema, summary }: Entry = entries[name]
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return { $schema, $id: `dw.${name}/${VERSION}`, title: summary, ...rest }
}
