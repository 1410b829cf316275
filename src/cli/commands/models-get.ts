/** What is known of one model: who serves it, whether it is simulated, and what it costs. */

import { ApiError } from '../../client/client.ts'
import type { WireModel, WireModelDetail } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import type { View } from '../output.ts'
import { argument } from './input.ts'
import { unknownModel } from './unknown-model.ts'

type Shown = WireModel & Partial<WireModelDetail>

/** A service with OpenAI's routes alone tells nothing of these. */
const UNKNOWN = 'not told'

const view: View<Shown> = {
  columns: [
    { title: 'Model', value: ({ id }) => id },
    {
      title: 'Upstreams',
      value: ({ dw, owned_by: owner }) => dw?.upstreams.map(upstreamText).join(', ') ?? owner,
    },
    { title: 'Simulated', value: ({ dw }) => (dw === undefined ? UNKNOWN : dw.simulated ? 'yes' : 'no') },
    { title: 'Price per million tokens', value: ({ dw }) => (dw === undefined ? UNKNOWN : pricesText(dw)) },
  ],
  plain: ({ id, dw }) => [id, dw === undefined ? UNKNOWN : pricesText(dw)],
}

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const id = argument(input, 0)
  const { models } = await context.client()
  try {
    context.output.object<Shown>(await models.get(id, context.signal), view)
    return 0
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown
    const listed = await models.list(context.signal)
    throw unknownModel(
      id,
      listed.map((model) => model.id),
    )
  }
}

function upstreamText({ name, state }: WireModelDetail['dw']['upstreams'][number]): string {
  return state === 'up' ? name : `${name} (${state})`
}

function pricesText({ prices }: WireModelDetail['dw']): string {
  if (prices.length === 0) return 'not set'
  return prices
    .map(({ window, currency, input_per_million: input, output_per_million: output }) => {
      return `${window}: ${input} in, ${output} out ${currency}`
    })
    .join('; ')
}
