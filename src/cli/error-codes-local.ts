/** Codes of the command line itself: of its options, of files, of the way to a server, and of `dw serve`. */
import type { ErrorEntry } from './error-codes.ts'

const files: Readonly<Record<string, ErrorEntry>> = {
  ambiguous_ids: {
    cause: 'A custom_id stands in the file more than once, so it cannot be told which request failed.',
    fix: 'Give every request a custom_id of its own: `dw files validate FILE` names the lines.',
    exit: 'invalidInput',
  },
  bad_set: {
    cause: 'A value for --set has not the form PATH=VALUE.',
    fix: 'Write --set temperature=0.2.',
    exit: 'usage',
  },
  csv_quote_open: {
    cause: 'A quoted field of the table has no closing quote.',
    fix: 'The message names the line where it begins. Close it, or double quotes that belong to the text.',
    exit: 'usage',
  },
  csv_record_too_long: {
    cause: 'A record of the table is longer than possible; most often a quote is missing.',
    fix: 'Look at the line that the message names.',
    exit: 'usage',
  },
  file_changed: {
    cause: 'The file was written to while it was read, so what was checked is not what would be sent.',
    fix: 'Wait until it is whole, then run the command again.',
    exit: 'invalidInput',
    isRetryable: true,
  },
  image_unreadable: { cause: 'An image cannot be read.', fix: 'Check its path and form.', exit: 'usage' },
  invalid_input: {
    cause: 'The input holds lines or columns that cannot be used. Nothing was sent.',
    fix: '`dw files validate FILE` names what is wrong, by line.',
    exit: 'invalidInput',
  },
  is_a_folder: { cause: 'A folder was named where a file is needed.', fix: 'Name a file.', exit: 'usage' },
  no_input_files: {
    cause: 'The folder holds no .jsonl files. Folders inside it are not looked into.',
    fix: 'Name the files, or the folder that holds them.',
    exit: 'invalidInput',
  },
  no_such_file: {
    cause: 'There is no such file, or it may not be read.',
    fix: 'Check the path.',
    exit: 'usage',
  },
  not_a_file: {
    cause: 'A folder or a device was named where a file is needed.',
    fix: 'Name a file.',
    exit: 'usage',
  },
  output_is_input: {
    cause: 'The output would be written over the input.',
    fix: 'Name another file with -o, or give --in-place where that is meant.',
    exit: 'usage',
  },
  part_exists: {
    cause: 'A file of that name is there already.',
    fix: 'Name another folder with -o, or give --force.',
    exit: 'usage',
  },
  path_blocked: {
    cause: 'A field cannot be set below a value that is no object.',
    fix: 'Set the value above it first.',
    exit: 'usage',
  },
  too_many_parts: {
    cause: 'The limits cut the file into too many parts.',
    fix: 'Raise the limits.',
    exit: 'usage',
  },
  url_unknown: {
    cause: 'A request names a route for which a field cannot be set.',
    fix: 'The message names the line and the route.',
    exit: 'usage',
  },
  unknown_column: {
    cause: 'The template names a column that the table has not.',
    fix: 'The message lists the columns there are.',
    exit: 'usage',
  },
}

const batches: Readonly<Record<string, ErrorEntry>> = {
  chain_too_long: {
    cause: 'The batch has so many retries of retries that their results are not merged.',
    fix: 'Fetch the results of each batch, and put them together with `dw files results-join`.',
    exit: 'unexpected',
  },
  input_gone: {
    cause: 'The input file of the batch was deleted, so its requests cannot run again.',
    fix: 'Upload it again: `dw batches run FILE`.',
    exit: 'unexpected',
  },
  nothing_to_retry: {
    cause: 'No request of the batch is left that could run again.',
    fix: 'Cancelled requests are taken along with --include-cancelled.',
    exit: 'unexpected',
  },
  no_price: {
    cause: 'A bound of the cost was set, and what a model costs is not known.',
    fix: 'Set its price at the server, or run without --max-cost. The message names the model.',
    exit: 'quota',
  },
  over_max_cost: {
    cause: 'The run may cost more than --max-cost allows. Nothing was submitted.',
    fix: 'Try it with --sample N, lower the limits of the answers, or raise --max-cost.',
    exit: 'quota',
  },
  run_busy: {
    cause: 'Another process is submitting the same requests at this moment.',
    fix: 'Run the command again once the batch is there: it goes on with that one. --new starts another.',
    exit: 'unexpected',
    isRetryable: true,
  },
  outcome_unknown: {
    cause: 'The request for a batch was sent, and no answer came that says whether it was made.',
    fix: 'Look with `dw batches list` before you run it again: it may be running, and would be paid for twice.',
    exit: 'unreachable',
  },
  refused: {
    cause: 'The server refuses to do this with the batch as it stands.',
    fix: 'Look at it with `dw batches get ID`.',
    exit: 'unexpected',
  },
  no_upload: {
    cause: 'No file was uploaded to this server from here yet.',
    fix: 'Name the file: `dw files list` shows them.',
    exit: 'usage',
  },
}

const reach: Readonly<Record<string, ErrorEntry>> = {
  bad_url: {
    cause: 'The address is no http or https address, or holds a key.',
    fix: 'Write http://host:port.',
    exit: 'usage',
  },
  dns_failed: {
    cause: 'The name of the host is not known to the name service: it is mistyped, or there is no network.',
    fix: 'Check the address: `dw config show` tells where it comes from.',
    exit: 'unreachable',
    isRetryable: true,
  },
  no_api: {
    cause: 'Something answers at the address, and it is no OpenAI-compatible API.',
    fix: 'Check the address; the message says what was tried.',
    exit: 'unreachable',
  },
  no_owner_token: {
    cause: 'The command is for the owner of the server, whose token was not found.',
    fix: 'Run it on the machine of the server as the user that runs it, or set DW_OWNER_TOKEN.',
    exit: 'notAllowed',
  },
  no_server: {
    cause: 'No server is named, and none was found on this machine.',
    fix: 'Start one with `dw serve`, or name one with --server URL, DW_SERVER or `dw login URL`.',
    exit: 'unreachable',
  },
  tls_failed: {
    cause:
      'The connection could not be made safe: the certificate of the server is not trusted, has expired, or is for another name; or the server speaks plain HTTP.',
    fix: 'For a certificate of your own set NODE_EXTRA_CA_CERTS to its file. For plain HTTP write http:// in the address.',
    exit: 'unreachable',
  },
  timed_out: {
    cause: 'The server took the connection and then did not answer in time.',
    fix: 'Run the command again; see whether the server is overloaded.',
    exit: 'unreachable',
    isRetryable: true,
  },
  unreachable: {
    cause: 'Nothing answers at the address of the server, also after retries.',
    fix: 'Is the server running? `dw serve` starts one here; `dw config show` tells which address is used and why.',
    exit: 'unreachable',
    isRetryable: true,
  },
  upstream_busy: {
    cause: 'Another command works with the same upstream in the same folder.',
    fix: 'Wait for its end, or stop it.',
    exit: 'unexpected',
    isRetryable: true,
  },
  upstream_unreachable: {
    cause: 'The engine does not answer as an OpenAI-compatible one does.',
    fix: 'Check its address and key: the message says what it answered.',
    exit: 'unreachable',
    isRetryable: true,
  },
}

const settings: Readonly<Record<string, ErrorEntry>> = {
  bad_config: {
    cause: 'The configuration of the command line cannot be read.',
    fix: 'The message names the file and the place in it. Mend it, or move it away.',
    exit: 'usage',
  },
  bad_jq: {
    cause: 'The expression of --jq is no valid jq program, or cannot be applied to what the command printed.',
    fix: 'Try `.` to see the object, then go on from there. The command itself has done its work unless the expression could not be read.',
    exit: 'usage',
  },
  key_in_project: {
    cause: 'A project file is shared, and holds a secret.',
    fix: 'Take it out and store it with `dw login URL`. A key that was shared should be revoked.',
    exit: 'usage',
  },
  bad_price_file: {
    cause: 'The file of prices cannot be read, or holds what is no price.',
    fix: 'The message names the place in it.',
    exit: 'invalidInput',
  },
  unknown_field: {
    cause: 'What the command prints has no such field.',
    fix: 'The message lists the fields there are.',
    exit: 'usage',
  },
  unknown_profile: {
    cause: 'No profile of that name is stored.',
    fix: '`dw login URL` stores one; `dw config show` tells which is used.',
    exit: 'usage',
  },
  unknown_schema: {
    cause: 'There is no schema of that name.',
    fix: '`dw schema` lists them.',
    exit: 'notFound',
  },
  usage: {
    cause:
      'A command, an option or a value is wrong or missing; or a question would be needed and nobody is there to answer it.',
    fix: '`dw COMMAND --help` shows what the command takes.',
    exit: 'usage',
  },
}

const serving: Readonly<Record<string, ErrorEntry>> = {
  cannot_listen: {
    cause: 'The server cannot listen at that address.',
    fix: 'Choose another with --host and --port.',
    exit: 'usage',
  },
  data_folder: {
    cause: 'The data folder cannot be used, or belongs to another program.',
    fix: 'Name another with --data-dir.',
    exit: 'usage',
  },
  invalid_config: {
    cause: 'The configuration of the server is wrong.',
    fix: 'The message names the field; docs/configuration.md lists them all.',
    exit: 'usage',
  },
  invalid_knob: {
    cause: 'A knob of the simulated model is wrong.',
    fix: 'The message names what it takes.',
    exit: 'usage',
  },
  port_taken: {
    cause: 'Another program listens on the port.',
    fix: 'Stop it, or choose another with --port.',
    exit: 'usage',
  },
}

const trouble: Readonly<Record<string, ErrorEntry>> = {
  damaged: {
    cause: 'A file of the data folder holds what was not written there. Nothing was cut or guessed.',
    fix: 'Restore the data folder from a backup.',
    exit: 'unexpected',
  },
  disk_failed: {
    cause: 'The disk failed at a read or a write.',
    fix: 'Check the disk, then start again.',
    exit: 'unexpected',
  },
  disk_full: {
    cause: 'No space is left on the disk.',
    fix: 'Make room, then run the command again.',
    exit: 'unexpected',
  },
  interrupted: {
    cause: 'The command was stopped before its end.',
    fix: 'Batches that were submitted keep running: `dw batches list` shows them.',
    exit: 'interrupted',
  },
  stopped: {
    cause: 'The server is stopping.',
    fix: 'Try again when it is back.',
    exit: 'unexpected',
    isRetryable: true,
  },
  unexpected: {
    cause: 'Something happened that the program does not know: a fault of its own, or of the machine.',
    fix: 'Run the command again with --debug, and report what it says.',
    exit: 'unexpected',
  },
  unsupported: {
    cause: 'The data folder was written by another version of the program. It is whole and was not touched.',
    fix: 'Use the version that the message asks for.',
    exit: 'unexpected',
  },
}

export const localCodes: Readonly<Record<string, ErrorEntry>> = {
  ...files,
  ...batches,
  ...reach,
  ...settings,
  ...serving,
  ...trouble,
}
