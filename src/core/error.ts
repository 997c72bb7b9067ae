/**
 * Every error a client can see. `status` is the HTTP status, `type` the OpenAI `error.type`, `retryable` says
 * whether another deployment may be tried while nothing has been sent. `message` is the default text.
 */
export const ERROR_CATALOGUE = {
  invalid_json: entry(400, 'invalid_request_error', false, 'The request body is not valid JSON.'),
  invalid_encoding: entry(400, 'invalid_request_error', false, 'The request body is not valid UTF-8.'),
  invalid_value: entry(400, 'invalid_request_error', false, 'A request field has an invalid value.'),
  unsupported_parameter: entry(
    400,
    'invalid_request_error',
    false,
    'This model does not support a parameter.',
  ),
  unsupported_content: entry(400, 'invalid_request_error', false, 'This model does not accept this content.'),
  context_length_exceeded: entry(
    400,
    'invalid_request_error',
    false,
    'The prompt is longer than the context.',
  ),
  upstream_rejected: entry(400, 'invalid_request_error', false, 'The model server refused the request.'),
  invalid_api_key: entry(401, 'authentication_error', false, 'The API key is missing or not valid.'),
  permission_denied: entry(403, 'permission_error', false, 'This key may not do that.'),
  model_not_found: entry(404, 'invalid_request_error', false, 'The model does not exist.'),
  route_not_found: entry(404, 'invalid_request_error', false, 'There is no such route.'),
  method_not_allowed: entry(405, 'invalid_request_error', false, 'This route does not accept that method.'),
  request_timeout: entry(408, 'invalid_request_error', false, 'The request did not arrive in time.'),
  body_too_large: entry(413, 'invalid_request_error', false, 'The request body is too large.'),
  unsupported_media_type: entry(
    415,
    'invalid_request_error',
    false,
    'The content type must be application/json.',
  ),
  rate_limit_exceeded: entry(429, 'rate_limit_error', true, 'Too many requests; try again later.'),
  insufficient_quota: entry(429, 'insufficient_quota', false, 'The budget is used up.'),
  client_closed: entry(499, 'cancelled', false, 'The client went away.'),
  internal_error: entry(500, 'server_error', false, 'The gateway failed unexpectedly.'),
  upstream_error: entry(502, 'server_error', true, 'The model server failed.'),
  upstream_refused: entry(502, 'server_error', true, 'The model server refused the gateway.'),
  upstream_unreachable: entry(503, 'server_error', true, 'The model server cannot be reached.'),
  model_unavailable: entry(503, 'server_error', true, 'The model is not available at the moment.'),
  no_deployment_allowed: entry(
    503,
    'server_error',
    false,
    'No deployment of the model may serve this request.',
  ),
  overloaded: entry(503, 'server_error', true, 'The server is overloaded; try again later.'),
  keys_unavailable: entry(
    503,
    'server_error',
    true,
    'API keys cannot be checked at the moment; try again later.',
  ),
  shutting_down: entry(503, 'server_error', false, 'The server is shutting down.'),
  upstream_timeout: entry(504, 'server_error', true, 'The model server did not answer in time.'),
  deadline_exceeded: entry(504, 'server_error', false, 'The request did not finish within its time.'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

interface ErrorEntry {
  readonly status: number;
  readonly type: string;
  readonly retryable: boolean;
  readonly message: string;
}

function entry(status: number, type: string, retryable: boolean, message: string): ErrorEntry {
  return { status, type, retryable, message };
}

/** How much is left of what is limited by the minute: of the limit that leaves the least. */
export interface RateStatus {
  readonly requests?: RateLeft | undefined;
  readonly tokens?: RateLeft | undefined;
}

export interface RateLeft {
  readonly limit: number;
  readonly remaining: number;
  /** Until all of it is there again. */
  readonly resetMs: number;
}

export interface AppErrorOptions {
  /** Shown to the client. Never put an upstream's URL, key or stack into it. */
  readonly message?: string;
  /** The request field at fault, as a path such as `messages[0].content`. */
  readonly param?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Replaces the catalogue's status where an upstream's own status means something to the client (400, 413, 422, 429). */
  readonly status?: number;
  /** The request never reached the backend, so that trying another costs nobody anything. */
  readonly nothingSent?: boolean;
  /** Told with a refusal by a limit. */
  readonly rate?: RateStatus | undefined;
  /** For logs only; never crosses the wire. */
  readonly cause?: unknown;
}

/** The one error type that crosses layers. Anything else that is thrown becomes `internal_error` at the edge. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly type: string;
  readonly param: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly nothingSent: boolean;
  readonly rate: RateStatus | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const entry = ERROR_CATALOGUE[code];
    super(
      options.message ?? entry.message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.status = options.status ?? entry.status;
    this.type = entry.type;
    this.param = options.param;
    this.retryable = entry.retryable;
    this.retryAfterMs = options.retryAfterMs;
    this.nothingSent = options.nothingSent ?? false;
    this.rate = options.rate;
  }

  /** The same error, told differently. */
  with(changes: Pick<AppErrorOptions, 'message' | 'retryAfterMs' | 'cause'>): AppError {
    const { code, message, param, status, retryAfterMs, nothingSent, rate, cause } = this;
    return new AppError(code, { message, param, status, retryAfterMs, nothingSent, rate, cause, ...changes });
  }

  /** Wraps anything thrown: an AppError stays itself, an abort becomes `client_closed`, the rest `internal_error`. */
  static from(error: unknown): AppError {
    if (error instanceof AppError) return error;
    if (error instanceof Error && error.name === 'AbortError')
      return new AppError('client_closed', { cause: error });
    return new AppError('internal_error', { cause: error });
  }
}
