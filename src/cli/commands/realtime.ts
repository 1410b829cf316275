/** Asks a model now and writes its answer as it comes: words to stdout, everything about them to stderr. */
import { type ChatPiece, type ChatRequest, pieceOf } from '../../client/chat.ts'
import { ApiError } from '../../client/client.ts'
import { type CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { openFileSink, type Sink } from '../results-sink.ts'
import { argument, flagOption, integerOption, textOption } from './input.ts'
import { promptOf } from './realtime-prompt.ts'
import { unknownModel } from './unknown-model.ts'

const TOKENS_MAX = 100_000_000

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const model = argument(input, 0)
  const request = await requestOf(context, input, model)
  try {
    return await answer(context, input, request)
  } catch (thrown) {
    context.signal.throwIfAborted()
    throw (await explained(context, model, thrown)) ?? thrown
  }
}

async function requestOf(context: CommandContext, input: CommandInput, model: string): Promise<ChatRequest> {
  const system = textOption(input, 'system')
  const maxTokens = integerOption(input, 'maxTokens', { min: 1, max: TOKENS_MAX })
  const temperature = temperatureOf(input)
  const prompt = await promptOf(context, input.arguments.slice(1).join(' '))
  return {
    model,
    messages: [
      ...(system === null ? [] : [{ role: 'system' as const, content: system }]),
      { role: 'user', content: prompt },
    ],
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    ...(temperature === null ? {} : { temperature }),
  }
}

function temperatureOf(input: CommandInput): number | null {
  const text = textOption(input, 'temperature')
  if (text === null) return null
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw usageError(`--temperature takes a number from 0 on, not '${text}'.`)
  return value
}

type Ended = {
  finishReason: string | null
  usage: ChatPiece['usage']
  isToolCall: boolean
  firstMs: number | null
}

async function answer(context: CommandContext, input: CommandInput, request: ChatRequest): Promise<number> {
  const startedAt = performance.now()
  const isWhole = context.isJsonAsked || input.options.stream === false
  const ended = isWhole
    ? await writeWhole(context, input, request)
    : await writePieces(context, input, { request, startedAt })
  if (flagOption(input, 'usage')) context.output.warn(usageLine(ended, performance.now() - startedAt))
  return tellEnd(context, ended)
}

async function writeWhole(
  context: CommandContext,
  input: CommandInput,
  request: ChatRequest,
): Promise<Ended> {
  const { output, signal } = context
  const { chat } = await context.client()
  const reply = await withNewerName(request, (named) => chat.whole(named, signal))
  const piece = pieceOf(reply.answer)
  tellSimulated(context, reply)
  if (context.isJsonAsked) output.json(reply.answer)
  else await withTarget(context, input, (write) => write(piece.text))
  return { ...piece, firstMs: null }
}

async function writePieces(
  context: CommandContext,
  input: CommandInput,
  { request, startedAt }: { request: ChatRequest; startedAt: number },
): Promise<Ended> {
  const { chat } = await context.client()
  const asked = flagOption(input, 'usage') ? { ...request, stream_options: { include_usage: true } } : request
  const reply = await withNewerName(asked, (named) => chat.stream(named, context.signal))
  tellSimulated(context, reply)
  const ended: Ended = { finishReason: null, usage: null, isToolCall: false, firstMs: null }
  await withTarget(context, input, async (write) => {
    for await (const piece of reply.answer) {
      if (piece.text !== '') {
        ended.firstMs ??= performance.now() - startedAt
        await write(piece.text)
      }
      ended.finishReason = piece.finishReason ?? ended.finishReason
      ended.usage = piece.usage ?? ended.usage
      ended.isToolCall ||= piece.isToolCall
    }
  })
  return ended
}

/** Standard output gets each piece at once and ends in a line break, also where the answer breaks off; a file is whole or not there. */
async function withTarget(
  { output }: CommandContext,
  input: CommandInput,
  use: (write: (text: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const path = textOption(input, 'outputFile')
  const sink: Pick<Sink, 'write' | 'commit' | 'abort'> =
    path === null
      ? { write: (bytes) => output.bytes(bytes), commit: async () => undefined, abort: async () => undefined }
      : await openFileSink(path)
  let last = '\n'
  const endLine = async (): Promise<void> => {
    if (last !== '\n') await sink.write(Buffer.from('\n'))
  }
  try {
    await use(async (text) => {
      if (text === '') return
      last = text.at(-1) ?? last
      await sink.write(Buffer.from(text))
    })
    await endLine()
    await sink.commit()
  } catch (thrown) {
    if (path === null) await endLine()
    await sink.abort()
    throw thrown
  }
}

/** Some models know the limit of tokens by its newer name alone, and say so. */
async function withNewerName<T>(request: ChatRequest, ask: (request: ChatRequest) => Promise<T>): Promise<T> {
  try {
    return await ask(request)
  } catch (thrown) {
    const { max_tokens: maxTokens, ...rest } = request
    const isOtherName =
      thrown instanceof ApiError && thrown.status === 400 && thrown.message.includes('max_completion_tokens')
    if (maxTokens === undefined || !isOtherName) throw thrown
    return ask({ ...rest, max_completion_tokens: maxTokens })
  }
}

function tellSimulated({ output }: CommandContext, { isSimulated }: { isSimulated: boolean }): void {
  if (isSimulated) output.say('The simulated model answers: these are no words of a real one.')
}

/** @returns the exit code */
function tellEnd({ output }: CommandContext, { finishReason, isToolCall }: Ended): number {
  if (isToolCall) output.warn('The model asked for a tool; --json shows what it wants.')
  if (finishReason === 'length')
    output.warn('The answer was cut off at its limit of tokens; --max-tokens raises it.')
  if (finishReason !== 'content_filter') return exitCode('ok')
  output.warn('The answer was cut off by a content filter.')
  return exitCode('failures')
}

function usageLine({ usage, firstMs }: Ended, totalMs: number): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
  const parts =
    usage === null
      ? ['tokens: not stated by the server']
      : [`${usage.promptTokens} prompt + ${usage.completionTokens} completion tokens`]
  if (firstMs !== null) parts.push(`first token after ${seconds(firstMs)}`)
  parts.push(`${seconds(totalMs)} in all`)
  const writingMs = totalMs - (firstMs ?? 0)
  if (usage !== null && writingMs > 0)
    parts.push(`${((usage.completionTokens / writingMs) * 1000).toFixed(1)} tokens/s`)
  return parts.join(', ')
}

/** What a refusal means where the model is none that the server lists; null for any other. */
async function explained(context: CommandContext, model: string, thrown: unknown): Promise<CliError | null> {
  if (!(thrown instanceof ApiError) || (thrown.status !== 404 && thrown.status !== 400)) return null
  const { models } = await context.client()
  // Without a list there is nothing to add to what the server said.
  const listed = await models.list(context.signal).catch(() => null)
  const names = listed?.map(({ id }) => id) ?? []
  // Knobs of the simulated model stand behind its name.
  if (listed === null || names.includes(model.split('?')[0] ?? model)) return null
  return unknownModel(model, names)
}
