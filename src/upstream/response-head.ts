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

export type ResponseHeaders = ReadonlyMap<string, string>;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: [^\r\n\0]*)?$/;
const NAME = /^[\w!#$%&'*+\-.^`|~]+$/;
/** What no header may have in it, after the lines were split: control characters, line breaks of another kind than CR LF among them. */
const STRAY = /[^\t\x20-\x7e\x80-\xff]/;
/** Safe as a number, and far more than any reply has. */
const MAX_LENGTH_DIGITS = 15;

/**
 * @param text Status line and headers, without the empty line.
 * @returns What is wrong with it, if anything is.
 */
export function parseHead(text: string): ParsedHead | string {
  const lines = text.split('\r\n');
  const statusLine = STATUS_LINE.exec(lines[0]!);
  if (statusLine === null) return 'no HTTP/1.1 response';
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i += 1) {
    const line = lines[i]!;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!NAME.test(name) || STRAY.test(line)) return 'a broken response header';
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const status = Number(statusLine[2]);
  if (status === 101) return 'a change of protocol that nobody asked for';
  const framing = framingOf(status, headers);
  if (typeof framing === 'object') return framing.problem;
  return {
    status,
    headers,
    framing,
    keepAlive: framing !== 'until-close' && staysOpen(headers.get('connection'), statusLine[1] === '1'),
    keepAliveMs: keepAliveMs(headers.get('keep-alive')),
  };
}

function framingOf(status: number, headers: ResponseHeaders): BodyFraming | { readonly problem: string } {
  const encoding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  if (encoding !== undefined && length !== undefined) return { problem: 'a content-length beside chunks' };
  if (length !== undefined && !(/^\d+$/.test(length) && length.length <= MAX_LENGTH_DIGITS))
    return { problem: 'a broken content-length' };
  if (status < 200 || status === 204 || status === 304) return 0;
  if (encoding !== undefined)
    return encoding.toLowerCase() === 'chunked' ? 'chunked' : { problem: `transfer-encoding ${encoding}` };
  return length === undefined ? 'until-close' : Number(length);
}

function staysOpen(connection: string | undefined, isLatest: boolean): boolean {
  if (connection === undefined) return isLatest;
  const options = connection.toLowerCase().split(/[\t ]*,[\t ]*/);
  if (options.includes('close')) return false;
  return isLatest || options.includes('keep-alive');
}

/** `Keep-Alive: timeout=5, max=100` */
function keepAliveMs(value: string | undefined): number | undefined {
  const seconds = value === undefined ? undefined : /(?:^|[\s,])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
