/** Codes that a server answers with. */
import type { ErrorEntry } from './error-codes.ts'

const FIX_VALUE = 'The message names the parameter and what it takes. Mend it and run the command again.'

export const serverCodes: Readonly<Record<string, ErrorEntry>> = {
  batch_running: {
    cause: 'The batch has not ended, and only an ended one can be retried.',
    fix: 'Wait for it with `dw batches watch ID`, or cancel it first.',
    exit: 'stillRunning',
  },
  body_too_large: {
    cause: 'The body of the request is larger than this route takes.',
    fix: 'Send requests as a file: `dw batches run FILE`.',
    exit: 'usage',
  },
  body_too_slow: {
    cause: 'The body of the request took longer to arrive than the server waits.',
    fix: 'Run the command again; on a slow network cut the file with `dw files split`.',
    exit: 'unexpected',
    isRetryable: true,
  },
  caller_gone: {
    cause: 'The connection was closed before there was an answer.',
    fix: 'Run the command again.',
    exit: 'unexpected',
    isRetryable: true,
  },
  empty_string: { cause: 'A parameter is empty and must not be.', fix: FIX_VALUE, exit: 'usage' },
  errors_gone: {
    cause: 'The error file of the batch was deleted, so it is not known which request failed in which way.',
    fix: 'Run all that failed again: `dw retry ID` without --group.',
    exit: 'unexpected',
  },
  file_in_use: {
    cause: 'A batch that runs still writes the file.',
    fix: 'Wait for the batch with `dw batches watch ID`, or cancel it.',
    exit: 'unexpected',
  },
  idempotency_mismatch: {
    cause: 'The same idempotency key came before with another request.',
    fix: 'Send a new key with a new request.',
    exit: 'unexpected',
  },
  insufficient_quota: {
    cause: 'The account of the service has no credit left, or has reached its limit.',
    fix: 'Add credit or raise the limit at the service.',
    exit: 'quota',
  },
  insufficient_storage: {
    cause: 'The server has too little disk space to take this. Nothing of it was kept.',
    fix: 'Whoever runs the server makes room: results that nobody needs go with `dw files delete ID`.',
    exit: 'unreachable',
  },
  integer_above_max_value: { cause: 'A number is above its limit.', fix: FIX_VALUE, exit: 'usage' },
  integer_below_min_value: { cause: 'A number is below its limit.', fix: FIX_VALUE, exit: 'usage' },
  invalid_api_key: {
    cause:
      'The server does not know the key: it was mistyped, revoked, has expired, or belongs to another server.',
    fix: 'Store the right one with `dw login URL`. Whoever runs the server lists its keys with `dw keys list`.',
    exit: 'notAllowed',
  },
  invalid_json: {
    cause: 'The body of the request was no JSON object.',
    fix: 'A proxy may have changed it on the way; `dw config show` tells which address is used.',
    exit: 'usage',
  },
  invalid_range: {
    cause: 'The part of the file that was asked for does not exist.',
    fix: 'The file is shorter than expected. Fetch it whole.',
    exit: 'usage',
  },
  invalid_request: {
    cause: 'The request has a form that the server cannot read.',
    fix: FIX_VALUE,
    exit: 'usage',
  },
  invalid_type: {
    cause: 'A parameter has a value of another type than it takes.',
    fix: FIX_VALUE,
    exit: 'usage',
  },
  invalid_url: {
    cause: 'An address is no http or https address, or holds a name and password.',
    fix: 'Write it as https://host/path.',
    exit: 'usage',
  },
  invalid_value: { cause: 'A parameter has a value that it does not take.', fix: FIX_VALUE, exit: 'usage' },
  missing_required_parameter: { cause: 'A parameter is missing.', fix: FIX_VALUE, exit: 'usage' },
  model_not_found: {
    cause: 'No engine behind the server has the model.',
    fix: '`dw models list` shows the models there are; `dw upstream add URL` adds an engine.',
    exit: 'notFound',
  },
  not_ended: {
    cause: 'Lines in the order of the input exist only once the batch has ended.',
    fix: 'Wait with `dw batches watch ID`, or read them as they came, without that order.',
    exit: 'stillRunning',
  },
  object_above_max_properties: {
    cause: 'There are more metadata pairs than possible.',
    fix: FIX_VALUE,
    exit: 'usage',
  },
  owner_only: {
    cause: 'Only the owner of the server may do this.',
    fix: 'Run the command on the machine of the server as the user that runs it, or set DW_OWNER_TOKEN to what its file owner-token holds.',
    exit: 'notAllowed',
  },
  private_target: {
    cause: 'The address is not public, and the server calls public ones only.',
    fix: 'Whoever runs the server can allow it in its configuration.',
    exit: 'usage',
  },
  property_name_above_max_length: {
    cause: 'The name of a metadata pair is too long.',
    fix: FIX_VALUE,
    exit: 'usage',
  },
  rate_limit_exceeded: {
    cause: 'The service takes fewer requests at a time than were sent.',
    fix: 'Wait, then run the command again.',
    exit: 'quota',
    isRetryable: true,
  },
  realtime_queue_full: {
    cause: 'More single requests wait for an engine than the server holds.',
    fix: 'Wait and try again, or send many requests as a batch: `dw batches run FILE`.',
    exit: 'quota',
    isRetryable: true,
  },
  redirected: {
    cause: 'The server sends callers to another address. The key was not sent there.',
    fix: 'If you trust that address, use it: `dw login URL`.',
    exit: 'usage',
  },
  retry_running: {
    cause: 'Other failed requests of the batch run again at the moment, and a batch has one retry at a time.',
    fix: 'Wait for that retry with `dw wait ID`, then run the command again.',
    exit: 'stillRunning',
    isRetryable: true,
  },
  service_unavailable: {
    cause: 'The server is starting, stopping, or cannot reach its storage.',
    fix: 'Try again shortly.',
    exit: 'unreachable',
    isRetryable: true,
  },
  string_above_max_length: { cause: 'A text is longer than possible.', fix: FIX_VALUE, exit: 'usage' },
  token_limit_exceeded: {
    cause: 'The service has as many tokens queued for this model as the account may have.',
    fix: 'Wait until batches that run have ended, then run the command again.',
    exit: 'quota',
    isRetryable: true,
  },
  too_many_keys: {
    cause: 'The server keeps no more keys.',
    fix: 'Revoke some: `dw keys list`, `dw keys revoke ID`.',
    exit: 'unexpected',
  },
  too_many_prices: { cause: 'The server keeps no more prices.', fix: 'Remove some.', exit: 'unexpected' },
  too_many_uploads: {
    cause: 'As many uploads run at the same time as the server takes.',
    fix: 'Run the command again when one of them has ended.',
    exit: 'quota',
    isRetryable: true,
  },
  too_many_upstreams: {
    cause: 'The server keeps no more upstreams.',
    fix: 'Remove one: `dw upstream list`, `dw upstream remove NAME`.',
    exit: 'unexpected',
  },
  too_many_webhooks: {
    cause: 'The tenant has as many webhooks as possible.',
    fix: 'Remove one.',
    exit: 'unexpected',
  },
  unknown_group: {
    cause: 'No failed request of the batch is in that group.',
    fix: '`dw errors ID` shows the groups.',
    exit: 'usage',
  },
  unknown_parameter: {
    cause: 'The server does not know a parameter: it may be older than this command line.',
    fix: '`dw --version` and the version of the server should be the same.',
    exit: 'usage',
  },
  unknown_url: {
    cause: 'The service has no such route.',
    fix: 'Use a service that has it.',
    exit: 'notFound',
  },
  answer_incomplete: {
    cause:
      'The answer of the model broke off before its end. What had come by then was shown, and is not all of it.',
    fix: 'Run the command again.',
    exit: 'unreachable',
    isRetryable: true,
  },
  realtime_busy: {
    cause: 'No place at an engine became free for a realtime call within a minute.',
    fix: 'Run the command again later, or raise the concurrency of the upstream: `dw upstream list` shows it.',
    exit: 'unreachable',
    isRetryable: true,
  },
  stream_error: {
    cause: 'The service reported an error in the middle of its answer.',
    fix: 'The message says what it was.',
    exit: 'usage',
  },
  upstream_exists: {
    cause: 'There is an upstream of that name.',
    fix: 'Choose another name with --name, or remove the first: `dw upstream remove NAME`.',
    exit: 'unexpected',
  },
  upstream_failed: {
    cause: 'The engine closed the connection before its answer was whole.',
    fix: 'Look at the log of the engine; `dw upstream list` shows its state.',
    exit: 'unreachable',
    isRetryable: true,
  },
  upstream_model_missing: {
    cause: 'The engine does not list a model that --models names.',
    fix: 'Leave out --models to see what it serves.',
    exit: 'notFound',
  },
  upstream_no_api: {
    cause: 'Something answers at the address, and not with a list of models as OpenAI has it.',
    fix: 'Give the base URL of its OpenAI-compatible API, which often ends in /v1.',
    exit: 'invalidInput',
  },
  upstream_no_models: {
    cause: 'The engine answers and lists no models.',
    fix: 'Load or download a model there, then run the command again.',
    exit: 'invalidInput',
  },
  upstream_test_failed: {
    cause: 'The engine lists models and did not answer a call of one token.',
    fix: 'Name a model that chats or embeds with --models NAME, or add the engine without a test: --no-test.',
    exit: 'invalidInput',
  },
  upstream_timeout: {
    cause: 'The engine took the call and sent no byte for as long as the server waits.',
    fix: 'Look at the load of the engine; `stall_ms` in the configuration of the server sets how long it waits.',
    exit: 'unreachable',
    isRetryable: true,
  },
  upstream_unauthorized: {
    cause: 'The engine demands a key, or refuses the one it was given.',
    fix: 'Name the variable that holds its key: --key-env VARIABLE.',
    exit: 'notAllowed',
  },
  upstream_unavailable: {
    cause: 'Every engine that serves the model is paused after a fault, and is asked again by itself.',
    fix: '`dw upstream list` shows what is wrong with it.',
    exit: 'unreachable',
    isRetryable: true,
  },
  upstream_web_page: {
    cause: 'A web server answers at the address, not an engine.',
    fix: 'Give the address of the API, with its port; `dw upstream scan` looks at the usual ports.',
    exit: 'invalidInput',
  },
  upstream_fixed: {
    cause: 'The upstream comes from the configuration of the server.',
    fix: 'Remove it there and start the server again.',
    exit: 'unexpected',
  },
  too_many_batches: {
    cause:
      'The span of time holds more batches than one analysis takes, or lies too far back to be searched.',
    fix: 'Narrow the span, or name the batches.',
    exit: 'usage',
  },
  usage_too_large: {
    cause: 'The span of time holds more than one answer may sum.',
    fix: 'Ask for a shorter span.',
    exit: 'usage',
  },
  wrong_host: {
    cause:
      'A server without keys answers only to its own address, so that no web page can reach it by another name.',
    fix: 'Ask it by its own address, or create a key there: `dw keys create`.',
    exit: 'notAllowed',
  },
  wrong_origin: {
    cause: 'A server without keys takes no requests from web pages.',
    fix: 'Create a key: `dw keys create`.',
    exit: 'notAllowed',
  },
}
