/** What the command line says of local files and of itself. */
import { z } from 'zod'

const finding = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: z.number().nullable().describe('line of the file, from 1'),
})
const findings = { findings_total: z.number(), findings: z.array(finding) }
const outputName = z.string().describe('the file that was written')
const written = z.boolean().describe('false: the file was left as it was')

export const validation = z.object({
  path: z.string(),
  valid: z.boolean(),
  requests: z.number(),
  ...findings,
})

export const run = z.object({
  object: z.literal('run'),
  input: z.string(),
  status: z.string().describe('completed, or the state of the first batch that is not'),
  batch_ids: z.array(z.string()),
  requests: z.object({
    total: z.number(),
    succeeded: z.number(),
    failed: z.number(),
    expired: z.number(),
    cancelled: z.number(),
    missing: z.number().describe('requests without a line anywhere'),
  }),
  left_out: z.object({ duplicate: z.number(), unknown: z.number(), unreadable: z.number() }),
  missing_ids: z.array(z.string()).describe('the first of them'),
  tokens: z.object({ input: z.number(), output: z.number() }).nullable(),
  cost: z.string().nullable().describe('null: not known'),
  output: z.string().nullable(),
  errors_output: z.string().nullable(),
  missing_output: z.string().nullable(),
  extra_output: z.string().nullable(),
  exit_code: z.number(),
})

export const runPlan = z.object({
  object: z.literal('run_plan'),
  server: z.string(),
  input: z.string(),
  requests: z.number(),
  bytes: z.number(),
  endpoint: z.string(),
  completion_window: z.string(),
  models: z.array(
    z.object({
      model: z.string(),
      requests: z.number(),
      estimated_input_tokens: z.number(),
      estimated_output_tokens: z.number(),
    }),
  ),
  estimated_input_tokens: z.number(),
  estimated_output_tokens: z.number(),
  estimated_cost: z.string().nullable().describe('null: not known'),
  estimated_cost_max: z.string().nullable(),
  currency: z.string().nullable(),
  batches: z.number().describe('new batches that would be made'),
  action: z.enum(['new', 'reattach', 'unknown']),
  batch_ids: z.array(z.string()).describe('batches that it would go on with'),
})

export const fileStats = z.object({
  path: z.string(),
  requests: z.number(),
  bytes: z.number(),
  models: z.array(
    z.object({
      model: z.string(),
      requests: z.number(),
      estimated_input_tokens: z.number(),
      estimated_output_tokens: z.number(),
    }),
  ),
  endpoints: z.array(z.object({ endpoint: z.string(), requests: z.number().nullable() })),
  estimated_input_tokens: z.number(),
  estimated_output_tokens: z.number(),
  duplicate_custom_ids: z.number(),
  custom_ids_unique: z.boolean(),
  longest_line: z.object({ line: z.number(), bytes: z.number() }).nullable(),
  images: z.object({ inline: z.number(), remote: z.number(), local: z.number() }),
  ...findings,
})

export const filePrepared = z.object({
  path: z.string(),
  output: outputName,
  written,
  lines: z.number(),
  changed: z.number(),
  removed: z.number(),
  images_encoded: z.number(),
  ...findings,
})

export const fileMade = z.object({ output: outputName, written, requests: z.number(), ...findings })

export const fileSampled = z.object({
  output: outputName,
  written,
  lines: z.number(),
  of: z.number(),
  seed: z.number(),
  ...findings,
})

export const fileMerged = z.object({
  output: outputName,
  written,
  lines: z.number(),
  files: z.array(z.object({ path: z.string(), prefix: z.string(), ...findings })),
})

export const filePart = z.object({
  path: z.string(),
  model: z.string(),
  lines: z.number(),
  bytes: z.number(),
})

export const fileDifference = z.object({
  change: z.enum(['added', 'removed', 'changed']),
  custom_id: z.string(),
  line_a: z.number().nullable(),
  line_b: z.number().nullable(),
  paths: z.array(z.string()).describe('where a changed pair differs, the first few'),
})

export const fileJoined = z.object({
  output: outputName,
  requests: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  missing: z.number(),
  files: z.array(z.object({ path: z.string(), ...findings })),
})

/** A line of `dw files results-join`: a request and its result. */
export const joinedLine = z.record(z.string(), z.unknown())

export const configuration = z.object({
  server: z.string().nullable(),
  active_profile: z.string().nullable(),
  profiles: z.array(
    z.object({ name: z.string(), url: z.string(), key: z.string().nullable().describe('masked') }),
  ),
  local_servers: z.array(z.object({ url: z.string(), data_dir: z.string() })),
  config_file: z.string(),
  state_folder: z.string(),
  project_file: z.string().nullable(),
  settings: z.array(
    z.object({
      name: z.string(),
      value: z.string().nullable(),
      layer: z.string().nullable(),
      origin: z.string().nullable().describe('a flag, a variable, or a file with its line'),
    }),
  ),
  notes: z.array(z.string()).describe('what is set and not used'),
})

export const profile = z.object({
  name: z.string(),
  active: z.boolean(),
  url: z.string(),
  key: z.string().nullable().describe('masked'),
  completion_window: z.string().nullable(),
  model: z.string().nullable(),
  allow_failures: z.string().nullable(),
})

export const whoami = z.object({
  server: z.string(),
  server_origin: z.string().nullable(),
  profile: z.string().nullable(),
  key: z.string().nullable().describe('masked'),
  key_origin: z.string().nullable(),
  is_dw: z.boolean(),
  tenant: z.string().nullable().describe('null: the server does not tell'),
  access: z.string().nullable().describe('owner, key, open; null: the server does not tell'),
  key_id: z.string().nullable(),
  models: z.number(),
})

export const doctorCheck = z.object({
  check: z.string(),
  status: z.enum(['ok', 'warn', 'fail', 'skipped', 'unknown']),
  message: z.string(),
  fix: z.string().nullable().describe('what to do or to run'),
})

/** A server that is ready. */
export const server = z.object({
  object: z.literal('server'),
  url: z.string(),
  api_url: z.string(),
  data_dir: z.string(),
  simulated: z.boolean().describe('only the simulated model is served'),
  key: z.string().nullable().describe('the first key, shown once'),
})

/** How a command that fails says so with --json: one line on standard error. */
export const error = z.object({
  error: z.object({
    code: z.string().describe('stable'),
    message: z.string(),
    hint: z.string().nullable(),
    request_id: z.string().nullable(),
    status: z.number().nullable().describe('HTTP status of the reply'),
    retryable: z.boolean().describe('the same command may succeed later'),
    next: z
      .array(z.object({ command: z.string(), why: z.string() }))
      .describe('commands that lead on, runnable as they are'),
    docs: z.string().describe('the page that explains the code'),
  }),
})

const nullableNumber = z.number().nullable()
/** What a line of --progress json and of --events-file holds. Which fields there are beyond the first three depends on the event. */
export const event = z.object({
  event: z.string().describe('submitted, progress, ended, transfer or warning; pass over others'),
  schema: z.literal('dw.event/v1'),
  at: z.number().describe('seconds'),
  batch_id: z.string().optional(),
  status: z.string().nullable().optional().describe('null: the server has not answered yet'),
  done: z.number().optional(),
  total: z.number().optional(),
  failed: z.number().optional(),
  req_per_s: nullableNumber.optional(),
  tok_per_s: nullableNumber.optional(),
  eta_s: nullableNumber.optional(),
  deadline_at: nullableNumber.optional(),
  reason: z.string().nullable().optional().describe('why it does not go on'),
  label: z.string().optional().describe('of a transfer'),
  bytes: z.number().optional(),
  total_bytes: z.number().optional().describe('0: not known'),
  message: z.string().optional().describe('of a warning'),
})

/** A JSON Schema, as `dw schema NAME` prints it. */
export const jsonSchema = z.object({
  $schema: z.string(),
  $id: z.string(),
  title: z.string(),
  type: z.string(),
  properties: z.record(z.string(), z.unknown()).optional(),
})

export const schemaEntry = z.object({ name: z.string(), id: z.string(), summary: z.string() })

const choices = z.array(z.string()).nullable()
const option = z.object({ flags: z.string(), help: z.string(), repeatable: z.boolean(), choices })

export const commandMap = z.object({
  object: z.literal('command_map'),
  version: z.string(),
  groups: z.array(z.object({ summary: z.string(), commands: z.array(z.string()) })),
  commands: z.array(
    z.object({
      command: z.string(),
      summary: z.string(),
      usage: z.string(),
      arguments: z.array(
        z.object({
          name: z.string(),
          help: z.string(),
          optional: z.boolean(),
          variadic: z.boolean(),
          choices,
        }),
      ),
      options: z.array(option),
      examples: z.array(z.string()),
      exit_codes: z.array(z.number()),
      prints: z.array(z.string()).describe('names of schemas'),
      docs: z.string(),
    }),
  ),
  global_options: z.array(option),
  exit_codes: z.array(z.object({ name: z.string(), code: z.number(), says: z.string() })),
  environment: z.array(z.object({ names: z.array(z.string()), says: z.string() })),
  topics: z.array(z.object({ name: z.string(), says: z.string() })),
})
