/** Prices of models, as the owner of the server sets them. */
import { readFileSync, statSync } from 'node:fs'
import { parse as parseToml } from 'smol-toml'
import { z } from 'zod'
import type { WirePrice } from '../../contract/wire.ts'
import { messageOf } from '../../lib/errors.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import type { View } from '../output.ts'
import { argument, flagOption, textOption } from './input.ts'

type Command = (context: CommandContext, input: CommandInput) => Promise<number>

/** Guess: far more than a list of prices takes. */
const FILE_BYTES_MAX = 8 * 1024 * 1024

const amount = z.union([z.string(), z.number().transform(String), z.null()])
const priceList = z.array(
  z.strictObject({
    model: z.string().min(1),
    window: z.string().min(1),
    input_per_million: amount,
    cached_input_per_million: amount.optional(),
    output_per_million: amount,
  }),
)
const priceFile = z.union([priceList, z.object({ prices: priceList }).transform(({ prices }) => prices)])

const priceView: View<WirePrice> = {
  columns: [
    { title: 'Model', value: ({ model }) => model },
    { title: 'Window', value: ({ window }) => window },
    { title: 'Input', value: (price) => price.input_per_million, isNumber: true },
    {
      title: 'Cached input',
      value: (price) => price.cached_input_per_million ?? price.input_per_million,
      isNumber: true,
    },
    { title: 'Output', value: (price) => price.output_per_million, isNumber: true },
  ],
  id: ({ model, window }) => `${model} ${window}`,
}

export const list: Command = async ({ admin, output }) => {
  output.rows((await (await admin()).admin.prices.list()).data, priceView)
  return 0
}

export const set: Command = async ({ admin, output }, input) => {
  const isNone = flagOption(input, 'none')
  const [given, cached, result] = [
    textOption(input, 'inputPrice'),
    textOption(input, 'cachedInputPrice'),
    textOption(input, 'outputPrice'),
  ]
  if (isNone === (given !== null || result !== null) || (given === null) !== (result === null))
    throw usageError(
      'A price needs --input-price and --output-price, or --none to take it away.',
      'For example: dw models set-price my-model 24h --input-price 0.05 --output-price 0.20',
    )
  const price = {
    model: argument(input, 0),
    window: argument(input, 1),
    input_per_million: given,
    cached_input_per_million: cached,
    output_per_million: result,
  }
  const all = await (await admin()).admin.prices.set([price])
  output.rows(
    all.data.filter((one) => one.model === price.model),
    priceView,
  )
  output.say('It holds for batches created from now on; those that exist keep theirs.')
  return 0
}

export const importAll: Command = async ({ admin, output }, input) => {
  const path = argument(input, 0)
  const prices = readPrices(path)
  const all = await (await admin()).admin.prices.set(prices)
  output.rows(all.data, priceView)
  output.say(`${formatNumber(prices.length, 'price')} of ${path} hold for batches created from now on.`)
  return 0
}

function readPrices(path: string) {
  try {
    const { size } = statSync(path)
    if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, at most ${FILE_BYTES_MAX} are read`)
    const text = readFileSync(path, 'utf8')
    return priceFile.parse(/\.toml$/i.test(path) ? parseToml(text) : JSON.parse(text))
  } catch (thrown) {
    const [issue] = thrown instanceof z.ZodError ? thrown.issues : []
    const why = issue === undefined ? messageOf(thrown) : `${issue.path.join('.')}: ${issue.message}`
    throw new CliError('bad_price_file', `${path} holds no prices: ${why}`, {
      exit: 'invalidInput',
      hint: 'A JSON list, or a TOML file with [[prices]], of model, window, input_per_million, cached_input_per_million and output_per_million.',
    })
  }
}
