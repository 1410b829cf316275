/**
 * Delivers what happened to the webhooks that want it. The rows to deliver are written together with what they tell of, so a crash at
 * any point leaves them due: a receiver may get an event twice under the same id, never not at all while attempts last.
 */
import { createHmac } from 'node:crypto'
import { Agent, type Dispatcher, request } from 'undici'
import {
  DELIVERIES_AT_ONCE_MAX,
  DELIVERIES_AT_ONCE_TO_ONE_MAX,
  DELIVERY_ANSWER_BYTES_MAX,
  DELIVERY_MS_MAX,
} from '../domain/limits.ts'
import { nextAttemptAt } from '../domain/webhook.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf, TroubleError } from '../lib/errors.ts'
import { lookupPublic, requirePublicHost } from '../lib/public-address.ts'
import type { Batch, Delivery, Store, Webhook } from '../store/store.ts'

export type WebhookSenderParts = {
  store: Store
  clock: Clock
  /** Receivers on this machine and its network are allowed. */
  isPrivateAllowed: boolean
  /** What the receiver gets, as JSON. The batch of a test does not exist. */
  eventOf: (delivery: Delivery, batch: Batch | null) => unknown
  onTrouble: (what: string, cause: unknown) => void
}

/** Guess: hints wake the sender; this only finds what a hint did not tell. */
const LOOK_AGAIN_MS = 60_000
/** Guess: how soon due deliveries are looked for again when the database gave trouble. */
const AGAIN_MS = 5_000
/** Guess: rows of one look. Larger than what goes out at once, so that one slow receiver does not hide all others. */
const DUE_LOOKED_AT_MAX = 512
const GONE = 410

export class WebhookSender {
  readonly #parts: WebhookSenderParts
  readonly #agent: Agent
  /** Under way, by delivery id. */
  readonly #sending = new Map<string, { webhookId: string; ended: Promise<void> }>()
  #looking: Promise<void> | null = null
  #isHinted = false
  readonly #stopping = new AbortController()
  #cancelTimer: (() => void) | null = null

  constructor(parts: WebhookSenderParts) {
    this.#parts = parts
    this.#agent = new Agent({
      connect: parts.isPrivateAllowed ? {} : { lookup: lookupPublic },
      headersTimeout: DELIVERY_MS_MAX,
      bodyTimeout: DELIVERY_MS_MAX,
    })
  }

  /** Something may be due now. */
  wake(): void {
    this.#isHinted = true
    if (this.#isStopped) return
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
      if (this.#isHinted) this.wake()
    })
  }

  /** Attempts under way are broken off and stay due. */
  async stop(): Promise<void> {
    this.#stopping.abort(new TroubleError('stopped', 'the server is stopping'))
    this.#cancelTimer?.()
    await this.#looking
    await Promise.all([...this.#sending.values()].map(({ ended }) => ended))
    await this.#agent.destroy()
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted
  }

  /** One attempt now, whatever is due. @param options isRepeated: a failure is tried again later. @returns the delivery as it is afterwards, stored */
  async attempt(
    delivery: Delivery,
    webhook: Webhook,
    { isRepeated }: { isRepeated: boolean },
  ): Promise<Delivery> {
    const { store, clock } = this.#parts
    const batch = await store.batches.get(delivery.batchId, null)
    const payload = JSON.stringify(this.#parts.eventOf(delivery, batch))
    const result = await this.#post(webhook, { id: delivery.id, payload })
    const attempts = delivery.attempts + 1
    const now = clock.now()
    const isDelivered = result.error === null
    const isGone = result.status === GONE
    const isOver = isDelivered || isGone || !isRepeated
    const nextAt = isOver ? null : nextAttemptAt(attempts, now)
    const after: Delivery = {
      ...delivery,
      attempts,
      status: isDelivered ? 'delivered' : nextAt === null ? 'failed' : 'waiting',
      nextAt,
      lastAttemptAt: now,
      lastStatus: result.status,
      lastError: result.error,
    }
    await store.webhooks.noteAttempt(after)
    if (isGone)
      await store.webhooks.update({
        ...webhook,
        updatedAt: now,
        disabledReason: 'the receiver answered 410 Gone',
      })
    return after
  }

  async #look(): Promise<void> {
    const { store, clock, onTrouble } = this.#parts
    this.#cancelTimer?.()
    try {
      while (this.#isHinted && !this.#isStopped) {
        this.#isHinted = false
        for (const delivery of await store.webhooks.due(clock.now(), DUE_LOOKED_AT_MAX)) this.#begin(delivery)
      }
      const nextAt = await store.webhooks.nextDueAt()
      const delayMs = nextAt === null ? LOOK_AGAIN_MS : nextAt - clock.now()
      // What is due and not under way waits for one that is: its end wakes this.
      this.#arm(delayMs <= 0 ? LOOK_AGAIN_MS : Math.min(LOOK_AGAIN_MS, delayMs))
    } catch (thrown) {
      if (thrown instanceof TroubleError && thrown.code === 'stopped') return
      onTrouble('looking for deliveries', thrown)
      this.#arm(AGAIN_MS)
    }
  }

  #arm(delayMs: number): void {
    if (!this.#isStopped) this.#cancelTimer = this.#parts.clock.after(delayMs, () => this.wake())
  }

  #begin(delivery: Delivery): void {
    const { id, webhookId } = delivery
    if (this.#isStopped || this.#sending.has(id) || this.#sending.size >= DELIVERIES_AT_ONCE_MAX) return
    const toIt = [...this.#sending.values()].filter((other) => other.webhookId === webhookId).length
    if (toIt >= DELIVERIES_AT_ONCE_TO_ONE_MAX) return
    const ended = this.#deliver(delivery)
      .catch((thrown: unknown) => {
        if (!this.#isStopped) this.#parts.onTrouble(`delivering ${id}`, thrown)
      })
      .finally(() => {
        this.#sending.delete(id)
        this.wake()
      })
    this.#sending.set(id, { webhookId, ended })
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { store } = this.#parts
    const webhook = await store.webhooks.get(delivery.webhookId, null)
    if (webhook === null) return
    if (webhook.disabledReason !== null) {
      const lastError = `the webhook is disabled: ${webhook.disabledReason}`
      return store.webhooks.noteAttempt({ ...delivery, status: 'failed', nextAt: null, lastError })
    }
    await this.attempt(delivery, webhook, { isRepeated: true })
  }

  async #post(webhook: Webhook, message: { id: string; payload: string }): Promise<Result> {
    const limit = AbortSignal.timeout(DELIVERY_MS_MAX)
    try {
      const url = new URL(webhook.url)
      if (!this.#parts.isPrivateAllowed) requirePublicHost(url)
      // A receiver looks at its own wall clock. Redirects are not followed: they would lead past the look at the address.
      const timestamp = Math.floor(this.#parts.clock.now() / 1_000)
      const reply = await request(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'dw',
          'webhook-id': message.id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signaturesOf(webhook, { ...message, timestamp, now: this.#parts.clock.now() }),
        },
        body: message.payload,
        dispatcher: this.#agent,
        signal: AbortSignal.any([limit, this.#stopping.signal]),
      })
      const text = await beginningOf(reply.body)
      const isTaken = reply.statusCode >= 200 && reply.statusCode < 300
      return { status: reply.statusCode, error: isTaken ? null : `${reply.statusCode} ${text}`.trim() }
    } catch (thrown) {
      this.#stopping.signal.throwIfAborted()
      return {
        status: null,
        error: limit.aborted ? `no answer within ${DELIVERY_MS_MAX / 1_000} s` : messageOf(thrown),
      }
    }
  }
}

type Result = { status: number | null; error: string | null }

/** One for each secret that is valid now, as Standard Webhooks has them. */
function signaturesOf(
  webhook: Webhook,
  message: { id: string; payload: string; timestamp: number; now: number },
): string {
  const isOverlap = webhook.previousSecretUntilAt !== null && webhook.previousSecretUntilAt > message.now
  const secrets = [webhook.secret, ...(isOverlap ? [webhook.previousSecret] : [])]
  return secrets
    .filter((secret) => secret !== null)
    .map((secret) => {
      const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
      const signed = `${message.id}.${message.timestamp}.${message.payload}`
      return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
    })
    .join(' ')
}

/** The rest of a long answer is not waited for. */
async function beginningOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    // A body without an encoding gives buffers.
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).byteLength
    if (bytes >= DELIVERY_ANSWER_BYTES_MAX) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, DELIVERY_ANSWER_BYTES_MAX)
}
