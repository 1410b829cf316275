/** Usage, prices and webhooks as data. Each command is imported only when it runs. */
import { webhookEvents } from '../../domain/webhook.ts'
import type { Argument, CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

const idArgument: Argument = { name: 'id', help: 'Id of the webhook' }
const eventOption: Option = {
  flags: '--event <event>',
  help: 'Event to tell of; may be given several times',
  choices: webhookEvents,
  isRepeatable: true,
}
const nameOption: Option = { flags: '--name <name>', help: 'What it is called (default: its address)' }

const webhookCommands: readonly CommandSpec[] = [
  {
    path: ['webhooks', 'create'],
    summary: 'Have an address told of the end of batches; its secret is shown once',
    arguments: [{ name: 'url', help: 'Address that takes POST requests' }],
    options: [
      { ...eventOption, help: 'Event to tell of; may be given several times (default: all)' },
      nameOption,
    ],
    examples: [
      'dw webhooks create https://example.com/hooks',
      'dw webhooks create https://example.com/hooks --event batch.completed --event batch.failed --name ci',
    ],
    exits: serverExits,
    prints: ['webhook'],
    load: async () => ({ run: (await import('./webhooks.ts')).create }),
  },
  {
    path: ['webhooks', 'list'],
    summary: 'List webhooks',
    arguments: [],
    options: [],
    examples: ['dw webhooks list', 'dw webhooks list --json'],
    exits: serverExits,
    prints: ['webhook'],
    load: async () => ({ run: (await import('./webhooks.ts')).list }),
  },
  {
    path: ['webhooks', 'get'],
    summary: 'Show one webhook',
    arguments: [idArgument],
    options: [],
    examples: ['dw webhooks get whe_abc123', 'dw webhooks get whe_abc123 --json'],
    exits: serverExits,
    prints: ['webhook'],
    load: async () => ({ run: (await import('./webhooks.ts')).get }),
  },
  {
    path: ['webhooks', 'update'],
    summary: 'Change a webhook; one that was disabled is on again',
    arguments: [idArgument],
    options: [
      { flags: '--url <url>', help: 'New address' },
      eventOption,
      { ...nameOption, help: 'New name' },
    ],
    examples: [
      'dw webhooks update whe_abc123 --url https://example.com/new',
      'dw webhooks update whe_abc123 --event batch.expired',
    ],
    exits: serverExits,
    prints: ['webhook'],
    load: async () => ({ run: (await import('./webhooks.ts')).update }),
  },
  {
    path: ['webhooks', 'delete'],
    summary: 'Delete a webhook and its log',
    arguments: [idArgument],
    options: [{ flags: '-y, --yes', help: 'Do not ask' }],
    examples: ['dw webhooks delete whe_abc123', 'dw webhooks delete whe_abc123 --yes'],
    exits: serverExits,
    prints: ['webhook-deleted'],
    load: async () => ({ run: (await import('./webhooks.ts')).remove }),
  },
  {
    path: ['webhooks', 'rotate-secret'],
    summary: 'Make a new secret; it is shown once',
    arguments: [idArgument],
    options: [{ flags: '--keep-old', help: 'Let the old secret sign beside the new one for 24 hours' }],
    examples: ['dw webhooks rotate-secret whe_abc123', 'dw webhooks rotate-secret whe_abc123 --keep-old'],
    exits: serverExits,
    prints: ['webhook'],
    load: async () => ({ run: (await import('./webhooks.ts')).rotateSecret }),
  },
  {
    path: ['webhooks', 'test'],
    summary: 'Send an event of a batch that does not exist, and show what came of it',
    arguments: [idArgument],
    options: [
      { flags: '--event <event>', help: 'Event to send (default: batch.completed)', choices: webhookEvents },
    ],
    examples: ['dw webhooks test whe_abc123', 'dw webhooks test whe_abc123 --event batch.failed'],
    exits: [...serverExits, 'failures'],
    prints: ['webhook-test'],
    load: async () => ({ run: (await import('./webhooks.ts')).test }),
  },
  {
    path: ['webhooks', 'deliveries'],
    summary: 'Show what was delivered, newest first, and what is tried again when',
    arguments: [idArgument],
    options: [{ flags: '-n, --limit <n>', help: 'How many to show, 1 to 1000 (default: 20)' }],
    examples: ['dw webhooks deliveries whe_abc123', 'dw webhooks deliveries whe_abc123 --limit 100 --json'],
    exits: serverExits,
    prints: ['delivery'],
    load: async () => ({ run: (await import('./webhooks.ts')).deliveries }),
  },
  {
    path: ['webhooks', 'resend'],
    summary: 'Deliver once more, now',
    arguments: [idArgument, { name: 'delivery', help: 'Id of the delivery' }],
    options: [],
    examples: ['dw webhooks resend whe_abc123 wh_abc123', 'dw webhooks resend whe_abc123 wh_abc123 --json'],
    exits: [...serverExits, 'failures'],
    prints: ['delivery'],
    load: async () => ({ run: (await import('./webhooks.ts')).resend }),
  },
]

const priceCommands: readonly CommandSpec[] = [
  {
    path: ['models', 'prices'],
    summary: 'List the prices that hold now, per million tokens',
    arguments: [],
    options: [],
    examples: ['dw models prices', 'dw models prices --json'],
    exits: serverExits,
    prints: ['price'],
    load: async () => ({ run: (await import('./models-prices.ts')).list }),
  },
  {
    path: ['models', 'set-price'],
    summary: 'Set the price of a model for a window, for batches created from now on',
    arguments: [
      { name: 'model', help: 'Name of the model' },
      { name: 'window', help: 'Window of the price, for example 24h' },
    ],
    options: [
      { flags: '--input-price <amount>', help: 'Price of a million input tokens, for example 0.05' },
      {
        flags: '--cached-input-price <amount>',
        help: 'Price of a million cached input tokens (default: that of input)',
      },
      { flags: '--output-price <amount>', help: 'Price of a million output tokens' },
      { flags: '--none', help: 'Take the price away: no price is not a price of zero' },
    ],
    examples: [
      'dw models set-price my-model 24h --input-price 0.05 --output-price 0.20',
      'dw models set-price my-model 1h --none',
    ],
    exits: serverExits,
    prints: ['price'],
    load: async () => ({ run: (await import('./models-prices.ts')).set }),
  },
  {
    path: ['models', 'import-prices'],
    summary: 'Set all prices of a JSON or TOML file',
    arguments: [{ name: 'file', help: 'A JSON list, or a TOML file with [[prices]]', kind: 'path' }],
    options: [],
    examples: ['dw models import-prices prices.toml', 'dw models import-prices prices.json --json'],
    exits: [...serverExits, 'invalidInput'],
    prints: ['price'],
    load: async () => ({ run: (await import('./models-prices.ts')).importAll }),
  },
]

export const moneyCommands: readonly CommandSpec[] = [
  {
    path: ['usage'],
    summary: 'Show requests, tokens and cost over time',
    arguments: [],
    options: [
      {
        flags: '--since <moment>',
        help: 'From then on, for example 2026-11-01 (default: 30 days before the end)',
      },
      { flags: '--until <moment>', help: 'Until then (default: now)' },
      {
        flags: '--by <names>',
        help: 'Sum by these, with commas: model, upstream, window, key, batch, metadata:NAME (default: model)',
      },
      { flags: '--bucket <width>', help: 'A row for each hour or day', choices: ['hour', 'day'] },
      { flags: '--csv', help: 'Write CSV' },
    ],
    examples: [
      'dw usage --since 2026-11-01 --by model,window',
      'dw usage --by metadata:project --bucket day --csv',
      'dw usage --by key --json',
    ],
    exits: serverExits,
    prints: ['usage', 'bytes'],
    load: () => import('./usage.ts'),
  },
  ...priceCommands,
  ...webhookCommands,
]
