/** What a run of requests can end in besides its summary; beside `ApiError` and `UnreachableError`. */
import type { WireBatch, WireBatchError } from '../contract/wire.ts'

/** A request that cannot become a line of the input; nothing was made of the others either. */
export class InvalidRequestError extends Error {
  /** Place among the requests, from 0; null when it is about all of them. */
  readonly index: number | null

  constructor(index: number | null, message: string) {
    super(index === null ? message : `request ${index}: ${message}`)
    this.name = 'InvalidRequestError'
    this.index = index
  }
}

/** The service refused the input as a whole: no request ran. */
export class BatchFailedError extends Error {
  readonly batch: WireBatch
  /** What is wrong with the input, as far as the service says. */
  readonly findings: readonly WireBatchError[]

  constructor(batch: WireBatch) {
    const findings = batch.errors?.data ?? []
    const [first] = findings
    const place = first?.line === null || first?.line === undefined ? '' : ` in line ${first.line}`
    super(`the input of ${batch.id} was refused${first === undefined ? '' : `${place}: ${first.message}`}`)
    this.name = 'BatchFailedError'
    this.batch = batch
    this.findings = findings
  }
}

/** Reading was given up, by the signal or by leaving the loop. The batch goes on unless `isCancelled`. */
export class DetachedError extends Error {
  /** To be given to `attach`; null when no batch had been made. */
  readonly batchId: string | null
  /** The service was asked to cancel the batch, and agreed. */
  readonly isCancelled: boolean

  constructor(batchId: string | null, options: { isCancelled: boolean; cause?: unknown }) {
    const state = options.isCancelled ? 'is being cancelled' : 'goes on'
    super(batchId === null ? 'given up before a batch was made' : `given up: ${batchId} ${state}`, {
      cause: options.cause,
    })
    this.name = 'DetachedError'
    this.batchId = batchId
    this.isCancelled = options.isCancelled
  }
}

/** No answer said whether the batch was made, and the list of batches did not show it. It may run all the same. */
export class OutcomeUnknownError extends Error {
  readonly inputFileId: string

  constructor(inputFileId: string, cause: unknown) {
    super(`no answer says whether a batch was made of ${inputFileId}: look at the list of batches`, { cause })
    this.name = 'OutcomeUnknownError'
    this.inputFileId = inputFileId
  }
}

/** A result file holds what is no result. */
export class BadResultError extends Error {
  readonly fileId: string
  readonly lineNumber: number

  constructor(place: { fileId: string; lineNumber: number }, cause?: unknown) {
    super(`line ${place.lineNumber} of ${place.fileId} is no result`, { cause })
    this.name = 'BadResultError'
    this.fileId = place.fileId
    this.lineNumber = place.lineNumber
  }
}
