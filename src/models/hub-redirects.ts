import { type Dispatcher, request } from 'undici';
import { SourceError } from './source.ts';

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface HubRequest {
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
  readonly token?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HubReply {
  readonly status: number;
  readonly body: Dispatcher.ResponseData['body'];
  readonly contentLength: number | undefined;
  readonly contentRange: string | undefined;
  /** A strong validator of the final address: only such a one may be used to resume. */
  readonly etag: string | undefined;
  /** The digest of the file that the hub itself states on its way to the storage (`x-linked-etag`), lower-case hex. */
  readonly sha256: string | undefined;
}

/**
 * GETs a hub file. The hub sends to its storage hosts by redirects: at most 5 are followed, only to https (or plain http on
 * loopback, for tests and mirrors), and the token never leaves the hub's own origin.
 * Throws SourceError when no reply comes, the signal's reason when it is aborted.
 */
export async function follow(start: URL, options: HubRequest): Promise<HubReply> {
  let url = start;
  let sha256: string | undefined;
  for (let redirects = 0; ; redirects++) {
    requireSafe(url);
    const reply = await get(url, start, options);
    const ownWord = url.origin === start.origin ? digestOf(header(reply, 'x-linked-etag')) : undefined;
    sha256 ??= ownWord;
    if (!REDIRECTS.has(reply.statusCode)) return describe(reply, sha256);
    await reply.body.dump().catch(() => undefined);
    const location = header(reply, 'location');
    if (location === undefined || !URL.canParse(location, url.href))
      throw new SourceError(`it redirects to nowhere (HTTP ${reply.statusCode})`);
    if (redirects === MAX_REDIRECTS) throw new SourceError(`it redirects more than ${MAX_REDIRECTS} times`);
    url = new URL(location, url);
  }
}

async function get(url: URL, start: URL, options: HubRequest): Promise<Dispatcher.ResponseData> {
  const { dispatcher, signal, token, headers } = options;
  const authorization =
    token !== undefined && url.origin === start.origin ? { authorization: `Bearer ${token}` } : {};
  try {
    return await request(url, {
      dispatcher,
      signal,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'qianmen', ...headers, ...authorization },
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new SourceError(`cannot reach ${url.host}: ${networkReason(error)}`, { cause: error });
  }
}

function requireSafe(url: URL): void {
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) return;
  throw new SourceError(`it leads to ${url.protocol}//${url.host}, which is not https`);
}

function describe(reply: Dispatcher.ResponseData, sha256: string | undefined): HubReply {
  const length = header(reply, 'content-length');
  const etag = header(reply, 'etag');
  return {
    status: reply.statusCode,
    body: reply.body,
    contentLength: length === undefined ? undefined : Number(length),
    contentRange: header(reply, 'content-range'),
    etag: etag?.startsWith('"') ? etag : undefined,
    sha256,
  };
}

function digestOf(etag: string | undefined): string | undefined {
  return /^(?:W\/)?"?([0-9a-f]{64})"?$/i.exec(etag ?? '')?.[1]?.toLowerCase();
}

function header(reply: Dispatcher.ResponseData, name: string): string | undefined {
  const value = reply.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** undici wraps several failed addresses into one AggregateError without a message. */
function networkReason(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(networkReason))].join(', ');
  const { message, code } = error as NodeJS.ErrnoException;
  return message || (code ?? String(error));
}
