/** Structured logs on stderr, one JSON object per line. Keys, bodies and prompts never get here; what might hold a key is redacted all the same. */
import { destination, pino } from 'pino'

export type Logger = {
  info(facts: Record<string, unknown>, message: string): void
  warn(facts: Record<string, unknown>, message: string): void
  error(facts: Record<string, unknown>, message: string): void
  debug(facts: Record<string, unknown>, message: string): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export function createLogger(level: LogLevel): Logger {
  const redact = [
    'key',
    'secret',
    'token',
    'authorization',
    'headers.authorization',
    '*.key',
    '*.secret',
    '*.authorization',
  ]
  // Synchronous: a line written just before the process ends must not be lost.
  return pino(
    { level, redact, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination({ fd: 2, sync: true }),
  )
}
