/**
 * The client as a library: `import { createClient } from 'dw/client'`. Web-standard APIs only, so that it runs wherever `fetch` does.
 * Described in docs/client.md.
 */
export type * from '../contract/wire.ts'
export {
  type Client,
  type ClientOptions,
  type ContentReply,
  type CreateBatchRequest,
  createClient,
  type UploadRequest,
} from './client.ts'
export { ApiError, isPassing, UnreachableError } from './errors.ts'
export {
  type BatchRun,
  MISSING_IDS_MAX,
  type ReadOptions,
  type RunOptions,
  type RunResponse,
  type RunResult,
  type RunSummary,
} from './run.ts'
export {
  BadResultError,
  BatchFailedError,
  DetachedError,
  InvalidRequestError,
  OutcomeUnknownError,
} from './run-errors.ts'
export type { RunRequest, RunRequests } from './run-requests.ts'
