/** The server's configuration: defaults, then the file, then flags. Every field is described in docs/configuration.md. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { z } from 'zod'
import type { DatabaseConfig, ServerConfig } from './domain/config.ts'
import { ANSWER_BYTES_MAX, ATTEMPTS_MAX, CANCEL_GRACE_MS, LINE_BYTES_MAX, STALL_MS } from './domain/limits.ts'
import { isPrice } from './domain/price.ts'
import { defaultWindows, windowMs } from './domain/window.ts'
import { messageOf, RefusedError } from './lib/errors.ts'
import { isPostgresUrl } from './store/postgres-place.ts'

export const DEFAULT_PORT = 4111
const GIB = 1024 ** 3
const MIB = 1024 ** 2

const price = z.string().refine(isPrice, 'expected decimal text with at most 6 decimals, such as "0.15"')

const fileSchema = z.strictObject({
  host: z.string().optional(),
  port: z.int().min(0).max(65_535).optional(),
  data_dir: z.string().optional(),
  database: z.string().optional(),
  database_allow_unsafe: z.boolean().optional(),
  require_key: z.boolean().optional(),
  simulated: z.enum(['on', 'off', 'auto']).optional(),
  currency: z.string().min(1).max(16).optional(),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
  windows: z
    .array(
      z.strictObject({
        window: z
          .string()
          .refine((text) => windowMs(text) !== null, 'expected a duration such as "24h", "90m" or "7d"'),
        at_deadline: z.enum(['expire', 'continue']).default('expire'),
      }),
    )
    .min(1)
    .optional(),
  upstreams: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "use a-z, 0-9, '.', '_' and '-', at most 63"),
        url: z
          .string()
          .refine(isHttpUrl, 'expected an address such as "http://localhost:8000/v1", without a key in it'),
        key_env: z.string().optional(),
        key_file: z.string().optional(),
        concurrency: z.int().min(1).max(65_535).optional(),
      }),
    )
    .optional(),
  webhooks: z.strictObject({ allow_private_targets: z.boolean() }).partial().optional(),
  prices: z
    .array(
      z.strictObject({
        model: z.string(),
        window: z.string(),
        input_per_million: price,
        cached_input_per_million: price.optional(),
        output_per_million: price,
      }),
    )
    .optional(),
  limits: z
    .strictObject({
      line_bytes: z
        .int()
        .min(1_024)
        .max(512 * MIB),
      file_bytes: z.int().min(1),
      file_lines: z
        .int()
        .min(1)
        .max(2 ** 32 - 2),
      answer_bytes: z
        .int()
        .min(1_024)
        .max(512 * MIB),
      uploads: z.int().min(1).max(1_024),
      upload_free_bytes: z.int().min(0),
      dispatch_free_bytes: z.int().min(0),
      concurrency: z.int().min(1).max(65_535),
      attempts: z.int().min(1).max(100),
    })
    .partial()
    .optional(),
  timing: z
    .strictObject({
      stall_ms: z.int().min(100),
      retry_delay_ms: z.int().min(1),
      retry_delay_max_ms: z.int().min(1),
      cancel_grace_ms: z.int().min(0),
      drain_ms: z.int().min(0),
    })
    .partial()
    .optional(),
})

type FileConfig = z.output<typeof fileSchema>

/** What flags set; a field that is absent leaves the file's or the default. */
export type ConfigFlags = {
  host?: string
  port?: number
  dataDir?: string
  /** Null: SQLite in the data folder, whatever else is said elsewhere. */
  database?: string | null
  isKeyRequired?: boolean
  simulated?: ServerConfig['simulated']
}

/**
 * @param options file: a TOML file, or null. env: where `key_env` and `DW_DATABASE` are looked up.
 * @throws RefusedError `invalid_config` naming the file, the field and what it takes
 */
export function readServerConfig(options: {
  file: string | null
  flags: ConfigFlags
  env: NodeJS.ProcessEnv
}): ServerConfig {
  const { flags, env } = options
  const file = options.file === null ? {} : readConfigFile(options.file)
  const limits = file.limits ?? {}
  const timing = file.timing ?? {}
  return {
    host: flags.host ?? file.host ?? '127.0.0.1',
    port: flags.port ?? file.port ?? DEFAULT_PORT,
    dataDir: resolve(
      flags.dataDir ?? file.data_dir ?? join(env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'dw'),
    ),
    database: readDatabase(flags, env, file),
    isKeyRequired: flags.isKeyRequired ?? file.require_key ?? false,
    windows:
      file.windows?.map(({ window, at_deadline }) => ({ window, atDeadline: at_deadline })) ?? defaultWindows,
    upstreams: (file.upstreams ?? []).map((upstream) => ({
      name: upstream.name,
      url: upstream.url.replace(/\/+$/, ''),
      key: readKey(upstream, env),
      concurrency: upstream.concurrency ?? limits.concurrency ?? DEFAULT_CONCURRENCY,
    })),
    simulated: flags.simulated ?? file.simulated ?? 'auto',
    currency: file.currency ?? 'USD',
    webhooks: { isPrivateAllowed: file.webhooks?.allow_private_targets ?? false },
    prices: (file.prices ?? []).map((rule) => ({
      model: rule.model,
      window: rule.window,
      inputPerMillion: rule.input_per_million,
      cachedInputPerMillion: rule.cached_input_per_million ?? null,
      outputPerMillion: rule.output_per_million,
    })),
    limits: {
      lineBytesMax: limits.line_bytes ?? LINE_BYTES_MAX,
      // As much as the disk holds: the free-space marks stop an upload before it fills up.
      fileBytesMax: limits.file_bytes ?? Number.MAX_SAFE_INTEGER,
      fileLinesMax: limits.file_lines ?? 2 ** 32 - 2,
      answerBytesMax: limits.answer_bytes ?? ANSWER_BYTES_MAX,
      uploadsMax: limits.uploads ?? 16,
      uploadFreeBytesMin: limits.upload_free_bytes ?? GIB,
      dispatchFreeBytesMin: limits.dispatch_free_bytes ?? 256 * MIB,
      concurrencyDefault: limits.concurrency ?? DEFAULT_CONCURRENCY,
      attemptsMax: limits.attempts ?? ATTEMPTS_MAX,
    },
    timing: {
      stallMs: timing.stall_ms ?? STALL_MS,
      retryDelayMs: timing.retry_delay_ms ?? 500,
      retryDelayMsMax: timing.retry_delay_max_ms ?? 30_000,
      cancelGraceMs: timing.cancel_grace_ms ?? CANCEL_GRACE_MS,
      drainMs: timing.drain_ms ?? 10_000,
    },
    logLevel: file.log_level ?? 'warn',
  }
}

/** A flag is shown to everybody on the machine, so that an address with a password rather comes from the variable or the file. */
function readDatabase(flags: ConfigFlags, env: NodeJS.ProcessEnv, file: FileConfig): DatabaseConfig | null {
  const url = flags.database === undefined ? (env.DW_DATABASE ?? file.database ?? null) : flags.database
  if (url === null || url === '') return null
  if (!isPostgresUrl(url)) {
    throw new RefusedError(
      'invalid_config',
      'The database is named by an address such as postgres://user@host:5432/name (--database, DW_DATABASE, or database in the configuration); without one the server keeps its own.',
    )
  }
  return { url, isUnsafeAllowed: file.database_allow_unsafe ?? false }
}

/** Guess: fills a small engine, far below what a large one takes; set per upstream. */
const DEFAULT_CONCURRENCY = 64

function readConfigFile(path: string): FileConfig {
  let parsed: unknown
  try {
    parsed = parseToml(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new RefusedError(
      'invalid_config',
      `The configuration ${path} cannot be read: ${messageOf(cause)}`,
      { details: { cause } },
    )
  }
  const result = fileSchema.safeParse(parsed)
  if (result.success) {
    requireUnique(path, result.data)
    return result.data
  }
  const [issue] = result.error.issues
  const field = issue === undefined || issue.path.length === 0 ? '' : ` at '${issue.path.join('.')}'`
  throw wrongConfig(path, `${field}: ${issue?.message ?? 'unknown'}`)
}

function wrongConfig(path: string, what: string): RefusedError {
  return new RefusedError(
    'invalid_config',
    `The configuration ${path} is wrong${what}. docs/configuration.md lists every field.`,
  )
}

/** Two of one name, of which the second would silently win or lose, are a mistake in the file. */
function requireUnique(path: string, file: FileConfig): void {
  const lists: [string, string[]][] = [
    ['windows', (file.windows ?? []).map(({ window }) => window)],
    ['upstreams', (file.upstreams ?? []).map(({ name }) => name)],
    ['prices', (file.prices ?? []).map(({ model, window }) => `${model} in ${window}`)],
  ]
  for (const [field, names] of lists) {
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw wrongConfig(path, ` at '${field}': ${twice} stands there twice`)
  }
}

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === ''
  )
}

function readKey(
  upstream: { name: string; key_env?: string | undefined; key_file?: string | undefined },
  env: NodeJS.ProcessEnv,
): string | null {
  if (upstream.key_env !== undefined) {
    const key = env[upstream.key_env]
    if (key === undefined || key === '') {
      throw new RefusedError(
        'invalid_config',
        `Upstream '${upstream.name}' takes its key from the variable ${upstream.key_env}, which is not set.`,
      )
    }
    return key
  }
  if (upstream.key_file === undefined) return null
  try {
    return readFileSync(upstream.key_file, 'utf8').trim()
  } catch (cause) {
    throw new RefusedError(
      'invalid_config',
      `Upstream '${upstream.name}' takes its key from ${upstream.key_file}: ${messageOf(cause)}`,
      { details: { cause } },
    )
  }
}
