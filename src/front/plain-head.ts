/** The head of a request that can be read in one way only. */
export interface PlainHead {
  readonly path: string;
  /** By their names in lower case, each once. */
  readonly headers: Map<string, string>;
  /** Of the body that follows. */
  readonly bodyBytes: number;
  /** Another request may follow on the connection. */
  readonly keepAlive: boolean;
}

const METHOD = 'POST ';
const SPACE = 0x20;
const TAB = 0x09;
const VERSION = ' HTTP/1.1';
/** Names of token characters; values of visible characters, spaces and tabs, and bytes above ASCII. */
const HEADERS = /(?:\r\n[\w!#$%&'*+\-.^`|~]+:[\t\x20-\x7e\x80-\xff]*)*$/y;
const LENGTH = /^\d{1,15}$/;
const HOST = /^(?:[\w.~%-]+|\[[0-9a-f:.%]+\])(?::\d{1,5})?$/i;

/**
 * Reads a head if it is the usual one: POST, HTTP/1.1, one valid host, a length, every header once, and nothing that changes how
 * the connection goes on. Anything else is not an error, but for somebody to judge who knows all of HTTP.
 *
 * @param text Request line and headers, without the empty line.
 */
export function plainHead(text: string): PlainHead | undefined {
  let end = text.indexOf('\r\n');
  if (!text.startsWith(METHOD) || end < 0 || !text.startsWith(VERSION, end - VERSION.length))
    return undefined;
  HEADERS.lastIndex = end;
  if (!HEADERS.test(text)) return undefined;
  const path = text.slice(METHOD.length, end - VERSION.length);
  const headers = new Map<string, string>();
  let count = 0;
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end < 0) end = text.length;
    const colon = text.indexOf(':', start);
    headers.set(text.slice(start, colon).toLowerCase(), trimmed(text, colon + 1, end));
    count += 1;
  }
  const length = headers.get('content-length');
  const connection = headers.get('connection')?.toLowerCase() ?? 'keep-alive';
  const plain =
    headers.size === count &&
    length !== undefined &&
    LENGTH.test(length) &&
    isHost(headers.get('host')) &&
    (connection === 'keep-alive' || connection === 'close') &&
    !headers.has('transfer-encoding') &&
    !headers.has('expect') &&
    !headers.has('upgrade') &&
    !headers.has('proxy-connection');
  return plain
    ? { path, headers, bodyBytes: Number(length), keepAlive: connection === 'keep-alive' }
    : undefined;
}

/** Without the spaces and tabs around it, and only those: `trim` takes a no-break space for one, too. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Whether the value of a `Host` header can be one. */
export function isHost(value: string | undefined): boolean {
  return value !== undefined && HOST.test(value);
}
