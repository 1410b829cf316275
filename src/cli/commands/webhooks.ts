/** Webhooks from the command line. The secret is data: it goes to standard output, once, when it is made. */
import type { WireDelivery, WireWebhook } from '../../contract/wire.ts'
import { type WebhookEvent, webhookEvents } from '../../domain/webhook.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatInstant } from '../format.ts'
import type { View } from '../output.ts'
import { confirmed } from './ask.ts'
import { pasteable } from './batches-options.ts'
import { argument, flagOption, integerOption, listOption, textOption } from './input.ts'

type Command = (context: CommandContext, input: CommandInput) => Promise<number>

const DELIVERIES_DEFAULT = 20
const DELIVERIES_MAX = 1_000

const webhookView: View<WireWebhook> = {
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'Name', value: ({ name }) => name },
    { title: 'URL', value: ({ url }) => url },
    {
      title: 'Events',
      value: ({ event_types }) => event_types.map((event) => event.replace('batch.', '')).join(', '),
    },
    {
      title: 'State',
      value: ({ disabled_reason }) => (disabled_reason === null ? 'on' : `off: ${disabled_reason}`),
    },
  ],
  plain: ({ id, url }) => [id, url],
}

const deliveryView: View<WireDelivery> = {
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'Event', value: ({ event_type }) => event_type },
    { title: 'Batch', value: ({ batch_id }) => batch_id },
    { title: 'Status', value: ({ status, error }) => (error === null ? status : `${status}: ${error}`) },
    { title: 'Attempts', value: ({ attempts }) => String(attempts), isNumber: true },
    { title: 'Last', value: ({ last_attempt_at }) => instant(last_attempt_at) },
    { title: 'Next', value: ({ next_attempt_at }) => instant(next_attempt_at) },
  ],
  plain: ({ id, event_type, batch_id, status }) => [id, event_type, batch_id, status],
}

export const create: Command = async (context, input) => {
  const events = eventsOption(input)
  const client = await context.client()
  const name = textOption(input, 'name')
  const made = await client.webhooks.create({
    url: argument(input, 0),
    event_types: events.length === 0 ? webhookEvents : events,
    ...(name !== null && { name }),
  })
  showWithSecret(made, context)
  context.output.say(`try it: ${pasteable(['webhooks', 'test', made.id])}`)
  return 0
}

export const list: Command = async ({ client, output }) => {
  output.rows(await (await client()).webhooks.list(), webhookView)
  return 0
}

export const get: Command = async ({ client, output }, input) => {
  output.object(await (await client()).webhooks.get(argument(input, 0)), webhookView)
  return 0
}

export const update: Command = async ({ client, output }, input) => {
  const [url, name] = [textOption(input, 'url'), textOption(input, 'name')]
  const events = eventsOption(input)
  const facts = {
    ...(url !== null && { url }),
    ...(name !== null && { name }),
    ...(events.length > 0 && { event_types: events }),
  }
  output.object(await (await client()).webhooks.update(argument(input, 0), facts), webhookView)
  return 0
}

export const remove: Command = async (context, input) => {
  const id = argument(input, 0)
  const question = {
    text: `Delete webhook ${id} and its log?`,
    isYes: flagOption(input, 'yes'),
    command: pasteable(['webhooks', 'delete', id, '--yes']),
  }
  if (!(await confirmed(context, question))) return 0
  const deleted = await (await context.client()).webhooks.delete(id)
  if (context.output.format === 'json') context.output.json(deleted)
  context.output.say(`Deleted ${id}.`)
  return 0
}

export const rotateSecret: Command = async (context, input) => {
  const keepsOld = flagOption(input, 'keepOld')
  const rotated = await (await context.client()).webhooks.rotateSecret(argument(input, 0), { keepsOld })
  showWithSecret(rotated, context)
  context.output.say(
    keepsOld ? 'The old secret signs beside it for 24 hours.' : 'The old secret signs no more.',
  )
  return 0
}

export const test: Command = async ({ client, output }, input) => {
  const event = textOption(input, 'event') ?? 'batch.completed'
  if (!isEvent(event)) throw unknownEvent(event)
  const tested = await (await client()).webhooks.test(argument(input, 0), event)
  output.object(tested, {
    columns: [
      { title: 'Delivery', value: ({ delivery_id }) => delivery_id },
      { title: 'Event', value: ({ event_type }) => event_type },
      {
        title: 'Outcome',
        value: ({ success, error }) => (success ? 'delivered' : `failed: ${error ?? 'unknown'}`),
      },
    ],
    id: ({ delivery_id }) => delivery_id,
  })
  return exitCode(tested.success ? 'ok' : 'failures')
}

export const deliveries: Command = async ({ client, output }, input) => {
  const limit = integerOption(input, 'limit', { min: 1, max: DELIVERIES_MAX }) ?? DELIVERIES_DEFAULT
  output.rows(await (await client()).webhooks.deliveries(argument(input, 0), limit), deliveryView)
  return 0
}

export const resend: Command = async ({ client, output }, input) => {
  const sent = await (await client()).webhooks.resend(argument(input, 0), argument(input, 1))
  output.object(sent, deliveryView)
  return exitCode(sent.status === 'delivered' ? 'ok' : 'failures')
}

function showWithSecret(webhook: WireWebhook, { output }: CommandContext): void {
  if (output.format === 'json') output.json(webhook)
  else output.line(webhook.signing_secret ?? '')
  output.say(`Webhook ${webhook.id} to ${webhook.url}. The secret above is shown only this once.`)
}

function eventsOption(input: CommandInput): WebhookEvent[] {
  const given = listOption(input, 'event').flatMap((text) => text.split(','))
  return given.map((event) => {
    if (!isEvent(event)) throw unknownEvent(event)
    return event
  })
}

function isEvent(text: string): text is WebhookEvent {
  return webhookEvents.some((event) => event === text)
}

function unknownEvent(text: string): Error {
  return usageError(`There is no event '${text}'.`, `Events: ${webhookEvents.join(', ')}.`)
}

function instant(seconds: number | null): string {
  return seconds === null ? '-' : formatInstant(seconds * 1_000)
}
