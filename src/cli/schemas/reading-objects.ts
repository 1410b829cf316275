/** What the commands print that read results and wait. */
import { z } from 'zod'

export const failureGroup = z.object({
  object: z.literal('failure_group'),
  batch_id: z.string(),
  group: z.string().nullable().describe('for --group; null: all kinds beyond those told apart'),
  count: z.number(),
  share: z.number().describe('of the failed lines of the batch, 0 to 1'),
  status: z.number().nullable().describe('HTTP status; null: there was no answer'),
  code: z.string().nullable(),
  message: z.string().describe('of the first failure'),
  first_custom_id: z.string().nullable(),
  first_line: z.number().nullable().describe('of the file of errors, from 1'),
  fix: z.string().nullable().describe('what most likely helps'),
  retry: z.string().nullable().describe('runs these requests again'),
})

export const address = z.object({
  object: z.literal('address'),
  url: z.string(),
  opened: z.boolean().describe('a browser was started'),
})
