/** Every bound of the product that is not set by an operator, in one place. Bytes, counts or milliseconds, as the name says. */

const KIB = 1024
const MIB = 1024 * KIB

// Input files.
/** Required by DESIGN: a line of a request file, without its newline. */
export const LINE_BYTES_MAX = 64 * MIB
/** Guess: more different models in one file than this are a mistake in the generator. */
export const MODELS_PER_FILE_MAX = 1024
/** Required by OpenAI's wire: the first findings shown in a failed batch. */
export const FINDINGS_SHOWN_MAX = 100
/** Guess: findings kept for one file; the total still counts all of them. */
export const FINDINGS_KEPT_MAX = 100_000
/** Guess: custom ids are quoted in every result line and error message. */
export const CUSTOM_ID_BYTES_MAX = 4 * KIB
/** Guess: names of models are stored with the file and quoted in lists. */
export const MODEL_BYTES_MAX = 512
/** Guess: deeper nesting than this is a mistake, and would cost its readers their stack. */
export const JSON_DEPTH_MAX = 512
/** Guess: values in one line. Parsed, a value takes up to a hundred bytes whatever it took in the file. */
export const JSON_VALUES_MAX = 4_000_000
export const FILENAME_CHARACTERS_MAX = 512

// Batches.
export const METADATA_PAIRS_MAX = 16
export const METADATA_KEY_CHARACTERS_MAX = 64
export const METADATA_VALUE_CHARACTERS_MAX = 512
/** Guess: whoever wants more kinds of failures wants all. */
export const RETRY_GROUPS_MAX = 100
export const BATCH_LIST_MAX = 100
export const BATCH_LIST_DEFAULT = 20
export const FILE_LIST_MAX = 10_000
export const FILE_LIST_DEFAULT = 10_000
export const EXPIRES_AFTER_SECONDS_MIN = 3_600
export const EXPIRES_AFTER_SECONDS_MAX = 2_592_000

// Wire.
/** Guess: JSON bodies of our own routes; uploads stream and are bound by the file limits instead. */
export const JSON_BODY_BYTES_MAX = 1 * MIB
/** Guess: such a body takes no longer over a bad line; one that does holds a connection, a byte at a time. Uploads may. */
export const JSON_BODY_MS_MAX = 30_000

// Upstream calls.
/** Guess: one answer of an engine. A larger one fails its line. */
export const ANSWER_BYTES_MAX = 64 * MIB
/** Attempts a line may use up by failing while its neighbours succeed (reference/scheduling: 5). */
export const ATTEMPTS_MAX = 5
/** Calls in flight at cancel are given this long before they are cut (DESIGN §4). */
export const CANCEL_GRACE_MS = 30_000
/** No byte from the engine for this long is a stall (reference/scheduling §3D starts at 120 s). */
export const STALL_MS = 120_000
export const CONNECT_MS_MAX = 10_000
/** Required by DESIGN §2: dispatch pauses while the oldest unsynced answer is older. */
export const UNSYNCED_MS_MAX = 20
/** A `Retry-After` beyond this is cut to it: the engine is asked again at least this often. */
export const RETRY_AFTER_MS_MAX = 10 * 60_000

/** Guess: names of models with permits at one upstream; callers can make up as many as they like (`sim/chat?ttft=51`). */
export const PERMITS_KEPT_MAX = 10_000

/** Guess: models of a new upstream that are tried, and how long each may take: an engine may load it first. */
export const TESTED_MODELS_MAX = 16
export const MODEL_TEST_MS_MAX = 120_000

// Realtime calls, which pass through.
/** Guess: calls that wait for a permit, over all models. */
export const REALTIME_WAITING_MAX = 1_024
/** Guess: nobody who sits before a screen waits longer for a permit. */
export const REALTIME_WAIT_MS_MAX = 60_000
/** Guess: bodies of realtime calls in memory at the same moment, read or being read. */
export const REALTIME_BYTES_MAX = 256 * MIB
/** Guess: upstreams tried one after the other while none could be connected to. */
export const REALTIME_CONNECTS_MAX = 3
/** Guess: a usual answer fits, so that a slow reader does not hold an engine's permit. */
export const PASS_THROUGH_BUFFER_BYTES = 1 * MIB

// Read-ahead of request lines.
/** Guess: one coalesced read of input lines for a lane. */
export const WINDOW_BYTES_MAX = 256 * KIB
/** Guess: index entries looked at per read-ahead window. */
export const WINDOW_LINES_MAX = 256

// The engine's memory.
/** Guess: live batches that hold a bitmap and lanes; further ones wait as a row. */
export const ACTIVE_BATCHES_MAX = 4_096
/** Guess: lines of one lane that wait for their next attempt; beyond it the lane sends nothing new. */
export const RETRIES_WAITING_MAX = 1_000
/** Guess: lanes whose next lines are being read from disk at the same moment, per model. */
export const LANES_LOADING_MAX = 16
/** Guess: first read-ahead of a lane; it doubles up to WINDOW_LINES_MAX while the lane is served. */
export const WINDOW_LINES_MIN = 64
/** Guess: request lines further apart than this in the file are read one by one instead of in one piece. */
export const READ_GAP_BYTES_MAX = 16 * KIB
/** Guess: closing lines (expired, cancelled, model_not_found) appended before their sync is awaited. */
export const CLOSING_LINES_UNSYNCED_MAX = 8_192

// The metadata store.
/** Guess: calls that the database thread holds at a time; further ones wait on the main thread. */
export const DATABASE_CALLS_OPEN_MAX = 1_024
/** Guess: calls that wait for the database before the next one is refused. */
export const DATABASE_CALLS_WAITING_MAX = 65_536
/** Guess: units of writes that share one commit; bounds how long a read waits behind them. */
export const UNITS_PER_COMMIT_MAX = 256
/** Guess: prepared statements kept by the database thread; the store has about 50 different ones. */
export const DATABASE_STATEMENTS_MAX = 200
/** Guess: rows of one reply, in memory. A list ends its page early rather than exceed it. */
export const DATABASE_REPLY_BYTES_MAX = 8 * MIB
/** Guess: how long a foreign program (a backup, a shell) may hold the database before a call fails. */
export const DATABASE_BUSY_MS_MAX = 5_000
/** Required: a PostgreSQL that is away for up to a minute (restart, failover) is waited for; then calls fail and are tried again. */
export const DATABASE_AWAY_MS_MAX = 60_000
/** Guess: a new connection to PostgreSQL is tried after this, doubling from the first to the second. */
export const DATABASE_RECONNECT_MS_MIN = 25
export const DATABASE_RECONNECT_MS_MAX = 1_000
/** Guess: silence of PostgreSQL while it is being asked, or connected to, after which the connection counts as lost. */
export const DATABASE_SILENCE_MS_MAX = 30_000
export const DATABASE_CONNECT_MS_MAX = 5_000
/** Guess: a migration may build an index over a large table, or wait for another server that does. */
export const MIGRATION_SILENCE_MS_MAX = 30 * 60_000
/** Guess: connections to PostgreSQL for reading, opened as they are needed; a statement of ours takes about a millisecond. */
export const DATABASE_READERS_MAX = 4
/** Guess: how often a commit that another server was in the way of is tried again, and how often a read. */
export const DATABASE_CONFLICTS_MAX = 10
/** Guess: how long closing waits for a PostgreSQL that is away. */
export const DATABASE_CLOSE_MS_MAX = 5_000
/** Guess: how long the lock of a server that has just ended may still be held by its connection. */
export const SERVER_LOCK_MS_MAX = 2_000
/** Guess: expired idempotency keys removed with each create that carries one. */
export const IDEMPOTENCY_PURGE_MAX = 100
/** Guess: rounds of a create that keeps meeting a batch which ends at that moment. */
export const CREATE_ATTEMPTS_MAX = 8
/** Guess: list walks with ended batches last whose starting point is remembered. */
export const LIST_WALKS_MAX = 1_024
/** Guess: keys and upstreams that one server may have; both are listed whole. */
export const KEYS_MAX = 10_000
export const UPSTREAMS_MAX = 1_000

// Webhooks.
/** Guess: receivers of one tenant. */
export const WEBHOOKS_PER_TENANT_MAX = 100
/** Guess: deliveries of one webhook that its log keeps; those that wait are kept in any case. */
export const DELIVERIES_KEPT_MAX = 1_000
/** Guess: deliveries under way at a time, in all and to one webhook. */
export const DELIVERIES_AT_ONCE_MAX = 32
export const DELIVERIES_AT_ONCE_TO_ONE_MAX = 4
/** Required by Standard Webhooks: a receiver has 15 to 30 s. */
export const DELIVERY_MS_MAX = 15_000
/** Guess: as much of a receiver's answer as the log shows. */
export const DELIVERY_ANSWER_BYTES_MAX = 2_048
/** Guess: an old secret signs beside the new one for this long when that is asked for. */
export const SECRET_OVERLAP_MS = 24 * 60 * 60_000

// Figures.
/** Guess: prices of all models, windows and times that one server keeps; all of them are in memory. */
export const PRICES_MAX = 10_000
/** Guess: rows of one page, and of one question for usage; a wider question is refused. */
export const USAGE_PAGE = 2_000
export const USAGE_ROWS_MAX = 200_000
/** Guess: live batches whose records are summed for one question. */
export const USAGE_LIVE_MAX = 100
export const USAGE_DIMENSIONS_MAX = 6
/** Guess: as many points as a chart shows. */
export const THROUGHPUT_POINTS_MAX = 120
/** Guess: batches of one combined analysis, and batches looked at to find those of a span of time. */
export const ANALYTICS_BATCHES_MAX = 100
export const ANALYTICS_BATCHES_LOOKED_AT_MAX = 10_000
/** Guess: the latest batches of a tenant from which its estimates learn. */
export const HISTORY_BATCHES_MAX = 100
/** Guess: requests of one page of a batch, and the default. */
export const REQUEST_PAGE_MAX = 1_000
export const REQUEST_PAGE_DEFAULT = 100
/** Guess: inputs and outputs that one page holds; the page ends early rather than exceed it, unless one request alone does. */
export const REQUEST_PAGE_BYTES_MAX = 8 * MIB
/** Guess: lines and bytes of the input that one page searches for a `custom_id`: some 10 ms of work. */
export const REQUEST_SEARCH_LINES_MAX = 16_384
export const REQUEST_SEARCH_BYTES_MAX = 16 * MIB
export const PRICES_AT_ONCE_MAX = 1_000

// Services.
/** Guess: how long a repeated `Idempotency-Key` finds its first create again. */
export const IDEMPOTENCY_MS = 24 * 60 * 60_000
/** Guess: analyses of ended batches kept in memory, about 150 KiB each. */
export const ANALYSES_KEPT_MAX = 128
/** Guess: how often files whose time has come are looked for; lookups by id notice the instant themselves. */
export const JANITOR_MS = 60_000
/** Guess: files of one look, and looks of one round. */
export const JANITOR_PAGE = 100
export const JANITOR_PAGES_MAX = 1_000
/** Guess: how often, and how far apart, a row is asked for after its commit failed. */
export const OUTCOME_LOOKUPS_MAX = 5
export const OUTCOME_LOOKUP_MS = 200

// Requests to our own routes.
export const FORM_PARTS_MAX = 16
export const FORM_FIELD_BYTES_MAX = 1_024
/** Guess: of one part; a name of a file and its type fit many times. */
export const FORM_HEADER_BYTES_MAX = 16 * 1024
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255
export const PATH_PARAMETER_CHARACTERS_MAX = 512

// Connections to our own server.
/** Guess: headers that take longer come from a client that only holds the connection. */
export const HEADERS_MS_MAX = 30_000
/** Guess: how often connections are looked at for that; up to this much is added to the limit. */
export const HEADERS_CHECK_MS = 5_000
/** Guess: longer than the pause between two looks of a watching client. */
export const KEEP_ALIVE_MS = 72_000
/** Guess: no byte in either direction for this long, also in mid-upload, means that nobody is there any more. */
export const CONNECTION_IDLE_MS_MAX = 5 * 60_000
/** Guess: how long the rest of a body is read after its request was refused, so that the refusal is not lost in a reset. */
export const UNREAD_BODY_MS_MAX = 10_000
/** Guess: how long a stop waits for requests that have begun, where nothing else is set. */
export const STOP_WAIT_MS = 10_000
/** Guess: open connections; further ones are dropped by the system's accept. */
export const CONNECTIONS_MAX = 8_192
/** Guess: as much of a caller's value as an error message quotes. */
export const QUOTED_CHARACTERS_MAX = 100
export const ID_CHARACTERS_MAX = 512
export const WINDOW_CHARACTERS_MAX = 64
export const KEY_NAME_CHARACTERS_MAX = 128
/** Guess: keys of engines are some dozen characters; a signed token may be longer. */
export const UPSTREAM_KEY_CHARACTERS_MAX = 16_384
export const URL_CHARACTERS_MAX = 2_048

// Local file tools.
/** Guess: as much as the services take of one image. */
export const IMAGE_BYTES_MAX = 20 * MIB
/** Guess: images that several lines name are loaded once, as long as they fit. */
export const IMAGE_CACHE_BYTES_MAX = 32 * MIB
export const IMAGE_MS_MAX = 60_000
/** Guess: drawn lines are remembered by their number, 8 bytes each. */
export const SAMPLE_LINES_MAX = 5_000_000
/** Guess: more parts of one file than this are a mistake in a limit. */
export const PARTS_MAX = 10_000
/** Guess: lines of all parts that wait to be written. */
export const PARTS_HELD_BYTES_MAX = 4 * MIB
/** Required by OpenAI's documentation: one batch takes at most this, of one model. */
export const SERVICE_LINES_MAX = 50_000
export const SERVICE_BYTES_MAX = 200_000_000
