import { CliError } from '../cli-error.ts'
import { nearest } from '../suggest.ts'

/** @param listed names of all models that the server lists */
export function unknownModel(model: string, listed: readonly string[]): CliError {
  const near = nearest(model, listed)
  return new CliError('model_not_found', `The server does not list the model '${model}'.`, {
    exit: 'notFound',
    hint: near === null ? 'dw models list shows what there is.' : `Did you mean: ${near}`,
  })
}
