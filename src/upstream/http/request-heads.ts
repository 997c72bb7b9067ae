import type { RelayRequest } from '../../core/backend.ts';
import { http } from '../../core/node-http.ts';

/** What may go into a header and into a log line. */
const SAFE_ID = /^[\x21-\x7e]+$/;
const MAX_ID_LENGTH = 200;

/** Writes the heads of the requests to one server, of which most is always the same. */
export class RequestHeads {
  readonly #pathPrefix: string;
  readonly #lines: string;

  /** @throws Error if the key cannot stand in a header. */
  constructor({
    pathPrefix,
    host,
    apiKey,
  }: { pathPrefix: string; host: string; apiKey: string | undefined }) {
    this.#pathPrefix = pathPrefix;
    this.#lines = headerLines({
      host,
      connection: 'keep-alive',
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'qianmen',
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    });
  }

  /** With the empty line. */
  write({ id, stream, wire: { path } }: RelayRequest, bodyBytes: number): string {
    const accept = stream ? 'text/event-stream' : 'application/json';
    const requestId = id.length <= MAX_ID_LENGTH && SAFE_ID.test(id) ? `x-request-id: ${id}\r\n` : '';
    return (
      `POST ${this.#pathPrefix}${path} HTTP/1.1\r\n${this.#lines}accept: ${accept}\r\n${requestId}` +
      `content-length: ${bodyBytes}\r\n\r\n`
    );
  }
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => {
    http.validateHeaderValue(name, value);
    return `${name}: ${value}\r\n`;
  });
  return lines.join('');
}
