import type { WindowPolicy } from './window.ts'

/** Price of one model in one window. Decimal text, per million tokens; exact arithmetic happens in `price.ts`. */
export type PriceRule = {
  model: string
  window: string
  inputPerMillion: string
  cachedInputPerMillion: string | null
  outputPerMillion: string
}

/** An engine from the configuration file; its key was read from the named variable or file at start. */
export type UpstreamConfig = { name: string; url: string; key: string | null; concurrency: number }

/** A PostgreSQL database. The address may carry a password. */
export type DatabaseConfig = {
  url: string
  /** Use it even where it may lose what it has confirmed. */
  isUnsafeAllowed: boolean
}

/** What an operator sets. Read once at start; every field has its default in `server-config.ts`. */
export type ServerConfig = {
  host: string
  port: number
  dataDir: string
  /** PostgreSQL for the metadata; null: SQLite in the data folder. */
  database: DatabaseConfig | null
  /** Demand a key even on loopback. Any other bind address demands one anyway. */
  isKeyRequired: boolean
  windows: readonly WindowPolicy[]
  upstreams: readonly UpstreamConfig[]
  /** Serve the simulated model: always, never, or only while no other upstream exists. */
  simulated: 'on' | 'off' | 'auto'
  currency: string
  webhooks: {
    /** Receivers on this machine and its network are allowed. */
    isPrivateAllowed: boolean
  }
  prices: readonly PriceRule[]
  limits: {
    lineBytesMax: number
    fileBytesMax: number
    fileLinesMax: number
    answerBytesMax: number
    uploadsMax: number
    /** Below this many free bytes uploads get 507; below the second, dispatch stops. */
    uploadFreeBytesMin: number
    dispatchFreeBytesMin: number
    /** Requests in flight per model where an upstream states nothing. */
    concurrencyDefault: number
    attemptsMax: number
  }
  timing: {
    /** Longest silence of an engine before a call counts as stalled. */
    stallMs: number
    /** First and longest delay between attempts of one line, and between probes of a paused upstream. */
    retryDelayMs: number
    retryDelayMsMax: number
    cancelGraceMs: number
    /** How long SIGTERM waits for requests in flight. */
    drainMs: number
  }
  logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}
