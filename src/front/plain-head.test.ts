import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PlainHead, plainHead } from './plain-head.ts';

const LINES = {
  Host: 'localhost:8080',
  'Content-Type': 'application/json',
  'Content-Length': '5',
};

/** As it stands before the empty line. */
function head(lines: Readonly<Record<string, string>> = LINES, first = 'POST /v1/chat/completions HTTP/1.1') {
  return [first, ...Object.entries(lines).map(([name, value]) => `${name}: ${value}`)].join('\r\n');
}

const withLine = (line: string) => `${head()}\r\n${line}`;

describe('plain is', () => {
  it('a POST with one host and a length', () => {
    const headers = { host: 'localhost:8080', 'content-type': 'application/json', 'content-length': '5' };
    expect(plainHead(head())).toEqual({
      path: '/v1/chat/completions',
      headers: new Map(Object.entries(headers)),
      bodyBytes: 5,
      keepAlive: true,
    });
  });

  it.each([
    ['keep-alive', true],
    ['Keep-Alive', true],
    ['close', false],
    ['Close', false],
  ])('a connection that is to %s', (connection, keepAlive) => {
    expect(plainHead(head({ ...LINES, Connection: connection }))?.keepAlive).toBe(keepAlive);
  });

  it('a value with blanks around it, or none', () => {
    const read = plainHead(`${head()}\r\nX-A:\t  a b \t\r\nX-B:b\r\nX-C:\r\nX-D: \t `);
    expect(['x-a', 'x-b', 'x-c', 'x-d'].map((name) => read?.headers.get(name))).toEqual(['a b', 'b', '', '']);
  });

  it('bytes above ASCII, read one by one', () => {
    expect(plainHead(withLine('x-a: \xa0Zo\xeb\xa0'))?.headers.get('x-a')).toBe('\xa0Zo\xeb\xa0');
  });

  it('what clients send', () => {
    const python =
      'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip, deflate\r\n' +
      'Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n' +
      'User-Agent: OpenAI/Python 2.8.0\r\nX-Stainless-Lang: python\r\nx-stainless-read-timeout: 600\r\n' +
      'Authorization: Bearer sk-1\r\nX-Stainless-Raw-Response: true\r\nContent-Length: 86';
    const node =
      'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost:8080\r\nconnection: keep-alive\r\n' +
      'content-type: application/json\r\naccept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\n' +
      'user-agent: node\r\naccept-encoding: gzip, deflate\r\ncontent-length: 86';
    const curl =
      'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n' +
      'Content-Type: application/json\r\nContent-Length: 86';
    for (const text of [python, node, curl]) expect(plainHead(text)?.bodyBytes).toBe(86);
  });
});

describe('not plain is', () => {
  it.each([
    ['another method', head(LINES, 'GET /v1/chat/completions HTTP/1.1')],
    ['a method in lower case', head(LINES, 'post /v1/chat/completions HTTP/1.1')],
    ['another version', head(LINES, 'POST /v1/chat/completions HTTP/1.0')],
    ['a version in lower case', head(LINES, 'POST /v1/chat/completions http/1.1')],
    ['no version', head(LINES, 'POST /v1/chat/completions')],
    ['something after the version', head(LINES, 'POST /v1/chat/completions HTTP/1.1 ')],
    ['an empty line at the beginning', `\r\n${head()}`],
    ['nothing', ''],
    ['a request line alone', 'POST / HTTP/1.1'],
    ['no length', head({ Host: 'a' })],
    ['two lengths', withLine('content-length: 5')],
    ['two lengths in one', head({ ...LINES, 'Content-Length': '5, 5' })],
    ['a length with a sign', head({ ...LINES, 'Content-Length': '+5' })],
    ['a length in hexadecimal', head({ ...LINES, 'Content-Length': '0x5' })],
    ['a length with a fraction', head({ ...LINES, 'Content-Length': '5.0' })],
    ['a length before a no-break space', head({ ...LINES, 'Content-Length': '5\xa0' })],
    ['an empty length', head({ ...LINES, 'Content-Length': '' })],
    ['a length that no number can hold', head({ ...LINES, 'Content-Length': '9'.repeat(16) })],
    ['chunks', withLine('Transfer-Encoding: chunked')],
    ['another coding', withLine('Transfer-Encoding: identity')],
    ['an empty coding', withLine('Transfer-Encoding:')],
    ['an expectation', withLine('Expect: 100-continue')],
    ['an upgrade', withLine('Upgrade: h2c')],
    ['a connection with other options', withLine('Connection: keep-alive, upgrade')],
    ['an empty connection option', withLine('Connection:')],
    ['a connection option of proxies', withLine('Proxy-Connection: close')],
    ['no host', head({ 'Content-Length': '5' })],
    ['two hosts', withLine('host: localhost:8080')],
    ['a host that is none', head({ ...LINES, Host: 'a b' })],
    ['a host with a user', head({ ...LINES, Host: 'me@a' })],
    ['a host with a path', head({ ...LINES, Host: 'a/b' })],
    ['any header twice', `${head()}\r\nx-a: 1\r\nX-A: 1`],
    ['a folded header', withLine('x-a: 1\r\n  2')],
    ['a folded header without a colon', withLine(' folded')],
    ['a line without a colon', withLine('x-a')],
    ['a colon only in the next line', withLine('x-a\r\nx-b: 1')],
    ['a header without a name', withLine(': 1')],
    ['a space before the colon', withLine('x-a : 1')],
    ['a tab before the colon', withLine('x-a\t: 1')],
    ['a space before the name', withLine(' x-a: 1')],
    ['a bare LF between lines', withLine('x-a: 1\nx-b: 2')],
    ['a bare LF after the request line', head().replace('\r\n', '\n')],
    ['a bare CR in a value', withLine('x-a: 1\r2')],
    ['a CR too many', withLine('x-a: 1\r\r\nx-b: 1')],
    ['NUL in a value', withLine('x-a: 1\0')],
    ['NUL in a name', withLine('x\0a: 1')],
    ['DEL in a value', withLine('x-a: \x7f')],
    ['a vertical tab around a value', withLine('x-a: \x0b1')],
    ['a name above ASCII', withLine('x-\xe9: 1')],
  ])('%s', (_, text) => {
    expect(plainHead(text)).toBeUndefined();
  });
});

/** What Node read from the same bytes. */
interface NodesReading {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: readonly (readonly [string, string])[];
  readonly bodyBytes: number;
  readonly keepAlive: boolean;
}

describe("compared with Node's parser", () => {
  let readings: NodesReading[] = [];
  const server = createServer({ requireHostHeader: false }, (incoming: IncomingMessage, outgoing) => {
    const { method, url, rawHeaders } = incoming;
    const headers: [string, string][] = [];
    for (let i = 0; i < rawHeaders.length; i += 2)
      headers.push([rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!]);
    const reading = { method, url, headers, bodyBytes: 0, keepAlive: outgoing.shouldKeepAlive };
    readings.push(reading);
    incoming.on('data', (piece: Buffer) => {
      reading.bodyBytes += piece.length;
    });
    incoming.on('end', () => outgoing.end());
  });
  let port = 0;

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => void server.close());

  /** All requests that Node finds in these bytes, and in one that follows and ends the connection. */
  async function nodeReads(bytes: Buffer): Promise<readonly NodesReading[]> {
    readings = [];
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(
      Buffer.concat([bytes, Buffer.from('GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')]),
    );
    await once(socket, 'close');
    return readings;
  }

  async function expectSame(text: string, read: PlainHead): Promise<void> {
    const body = Buffer.alloc(read.bodyBytes, 'POST /x HTTP/1.1\r\n');
    const [first, next] = await nodeReads(Buffer.concat([Buffer.from(`${text}\r\n\r\n`, 'latin1'), body]));
    expect({ ...first, headers: new Map(first?.headers) }).toEqual({
      method: 'POST',
      url: read.path,
      headers: read.headers,
      bodyBytes: read.bodyBytes,
      keepAlive: read.keepAlive,
    });
    expect(first?.headers.length).toBe(read.headers.size);
    expect(next?.url).toBe(read.keepAlive ? '/next' : undefined);
  }

  const known = fc.constantFrom(
    ...['host', 'Host', 'content-length', 'Content-Length', 'transfer-encoding', 'connection', 'expect'],
    ...['upgrade', 'proxy-connection', 'keep-alive', 'te', 'trailer', 'content-type', 'authorization'],
    ...['cookie', 'set-cookie', '__proto__', 'constructor', 'accept'],
  );
  const values = fc.constantFrom(
    ...['a', 'localhost:80', '5', '0', '05', '12', '5 ', '5\xa0', '5,5', '-1', 'chunked', 'identity', ''],
    ...['close', 'keep-alive', 'Close', 'keep-alive, close', 'upgrade', 'timeout=5', 'a\tb', '\xe9', '"a'],
  );
  const blank = fc.constantFrom('', ' ', '\t', '  ', ' \t', '\xa0', '\x0b');
  const line = fc.tuple(
    fc.oneof(known, fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)),
    fc.constantFrom(':', ':', ':', ':', ' :', ''),
    blank,
    fc.oneof(values, fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 8 })),
    blank,
  );
  const lines = fc.array(
    line.map((parts) => parts.join('')),
    { maxLength: 3 },
  );
  const path = fc.constantFrom('/', '/v1/chat/completions', '/a?b=c', 'http://a/', '*', '/a b', '/%00', '');
  const odd = fc.constantFrom(...'\r\n\0 \t:\x7f\x80\xa0\x0b\x0c",;_\x01aA1-'.split(''), '\r\n', '\r\n ');
  const change = fc.record({ at: fc.nat(200), by: odd, replaced: fc.nat(2) });
  const heads = fc
    .tuple(path, lines, fc.oneof(fc.constant([]), fc.array(change, { maxLength: 2 })))
    .map(([path, more, changes]) => {
      let text = ['POST ', path, ' HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\nx-y: z'].join('');
      for (const line of more) text += `\r\n${line}`;
      for (const { at, by, replaced } of changes) {
        const start = at % text.length;
        text = text.slice(0, start) + by + text.slice(start + replaced);
      }
      return text.split('\r\n\r\n', 1)[0]!;
    });

  it('all that is plain is read alike, to the byte after it', async () => {
    let plain = 0;
    await fc.assert(
      fc.asyncProperty(heads, async (text) => {
        const read = plainHead(text);
        // No such path is served.
        if (read === undefined || read.bodyBytes > 100_000 || !/^\/[!-~]*$/.test(read.path)) return;
        plain += 1;
        await expectSame(text, read);
      }),
      { numRuns: 8_000 },
    );
    expect(plain).toBeGreaterThan(400);
  }, 120_000);
});
