/** How the end of a body is known: its bytes, chunks, or the end of the connection. */
export type BodyFraming = number | 'chunked' | 'until-close';

export interface ParsedHead {
  readonly status: number;
  /** By their names in lower case; what comes twice is joined by commas. */
  readonly headers: ResponseHeaders;
  readonly framing: BodyFraming;
  readonly keepAlive: boolean;
  readonly keepAliveMs: number | undefined;
}

export type ResponseHeaders = Map<string, string>;

const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d{2}(?: [^\r\n\0]*)?(?=\r\n|$)/;
/** Values without control characters, line breaks of another kind than CR LF among them. */
const HEADERS = /(?:\r\n[\w!#$%&'*+\-.^`|~]+:[\t\x20-\x7e\x80-\xff]*)*$/y;
const MINOR_VERSION_AT = 'HTTP/1.'.length;
const STATUS_AT = 'HTTP/1.1 '.length;
const STATUS_DIGITS = 3;
const LENGTH = /^(\d+)(?:[\t ]*,[\t ]*\1)*$/;
/** Safe as a number, and far more than any reply has. */
const MAX_LENGTH_DIGITS = 15;

/**
 * @param text Status line and headers, without the empty line.
 * @returns The head, or what is wrong with it.
 */
export function parseHead(text: string): ParsedHead | string {
  if (!STATUS_LINE.test(text)) return 'no HTTP/1.1 response';
  let end = lineEnd(text, 0);
  HEADERS.lastIndex = end;
  if (!HEADERS.test(text)) return 'a broken response header';
  const headers = new Map<string, string>();
  while (end < text.length) {
    const start = end + 2;
    end = lineEnd(text, start);
    const colon = text.indexOf(':', start);
    const name = text.slice(start, colon).toLowerCase();
    const value = withoutSpace(text, colon + 1, end);
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const status = Number(text.slice(STATUS_AT, STATUS_AT + STATUS_DIGITS));
  if (status === 101) return 'a change of protocol that nobody asked for';
  const framing = framingOf(status, headers);
  if (typeof framing === 'object') return framing.problem;
  return {
    status,
    headers,
    framing,
    keepAlive:
      framing !== 'until-close' &&
      !isBodiless(status) &&
      !isIdentity(headers.get('transfer-encoding')) &&
      staysOpen(headers.get('connection'), text[MINOR_VERSION_AT] === '1', framing),
    keepAliveMs: keepAliveMs(headers.get('keep-alive')),
  };
}

const TAB = 0x09;
const SPACE = 0x20;

/** Spaces and tabs only: `trim` takes more for space, such as the byte 0xA0, behind which others would see another value. */
function withoutSpace(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The offset of the CR LF from there on, or the end. */
function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\r\n', from);
  return end < 0 ? text.length : end;
}

function framingOf(status: number, headers: ResponseHeaders): BodyFraming | { readonly problem: string } {
  const encoding = headers.get('transfer-encoding');
  const length = lengthOf(headers.get('content-length'));
  const isSized = encoding === undefined || isIdentity(encoding);
  if (!isSized && length !== undefined) return { problem: 'a content-length beside chunks' };
  if (length === 'broken') return { problem: 'a broken content-length' };
  if (status < 200 && (encoding !== undefined || (length ?? 0) > 0))
    return { problem: 'an announcement of a response that has a body' };
  if (isBodiless(status)) return 0;
  if (!isSized)
    return encoding.toLowerCase() === 'chunked' ? 'chunked' : { problem: `transfer-encoding ${encoding}` };
  return length ?? 'until-close';
}

/**
 * It is not of HTTP/1.1 any more, and said that there are no chunks (RFC 2616 section 3.6). Whoever does not know it
 * reads until the end of the connection, whatever the length: so such a connection carries no other response.
 */
function isIdentity(transferEncoding: string | undefined): boolean {
  return transferEncoding?.toLowerCase() === 'identity';
}

/** Said more than once, it may be said in one way only (RFC 9110 section 8.6). */
function lengthOf(told: string | undefined): number | 'broken' | undefined {
  if (told === undefined) return undefined;
  const digits = LENGTH.exec(told)?.[1];
  return digits !== undefined && digits.length <= MAX_LENGTH_DIGITS ? Number(digits) : 'broken';
}

/**
 * There is no body, whatever the headers say. A server that sends one all the same, perhaps later, would have it
 * taken for the answer to the next request, so such a connection carries no other. (No server that means well
 * answers a generation like that.)
 */
function isBodiless(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/**
 * Chunks are not of HTTP/1.0: whoever sends them all the same may have another idea of where they end (RFC 9112
 * section 6.1).
 */
function staysOpen(connection: string | undefined, isLatest: boolean, framing: BodyFraming): boolean {
  if (!isLatest && framing === 'chunked') return false;
  if (connection === undefined) return isLatest;
  const options = connection
    .toLowerCase()
    .split(',')
    .map((option) => option.trim());
  if (options.includes('close')) return false;
  return isLatest || options.includes('keep-alive');
}

/** `Keep-Alive: timeout=5, max=100` */
function keepAliveMs(value: string | undefined): number | undefined {
  const seconds = value === undefined ? undefined : /(?:^|[\s,])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
