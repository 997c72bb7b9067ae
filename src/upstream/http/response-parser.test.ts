import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError, ResponseParser } from './response-parser.ts';

/** What a listener is told of a response that comes in these pieces; its connection is closed afterwards. */
function read(pieces: readonly string[]) {
  const seen = { status: 0, contentType: '', body: '', ended: false, after: '', keepAlive: false };
  const parser = new ResponseParser({
    onHead({ status, headers }) {
      seen.status = status;
      seen.contentType = headers.get('content-type') ?? '';
    },
    onData(bytes) {
      seen.body += bytes.toString('latin1');
    },
    onEnd() {
      seen.ended = true;
    },
  });
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    const end = parser.push(bytes);
    seen.after += bytes.toString('latin1', end);
    // The connection reads into the same memory again and again.
    bytes.fill(0);
  }
  parser.finish();
  seen.keepAlive = parser.keepAlive;
  return seen;
}

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 11\r\n\r\nhello world';
const CHUNKED =
  'HTTP/1.1 200 OK\r\ncontent-type:text/event-stream\r\nTransfer-Encoding: Chunked\r\n\r\n' +
  '6\r\nhello \r\n5;name="x"\r\nworld\r\n0\r\ntrailer: 1\r\n\r\n';
const CLOSED = 'HTTP/1.1 200 OK\r\n\r\nhello world';

describe('a response', () => {
  it.each([
    ['of a known length', SIZED, true],
    ['in chunks', CHUNKED, true],
    ['until the connection ends', CLOSED, false],
    [
      'announced by others',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${SIZED}`,
      true,
    ],
  ])('%s is the same wherever its bytes are cut', (_, text, keepAlive) => {
    const whole = read([text]);
    expect(whole).toMatchObject({ status: 200, body: 'hello world', ended: true, after: '', keepAlive });
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: text.length - 1 }), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (at) => {
        const ends = [...at.sort((a, b) => a - b), text.length];
        expect(read(ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end)))).toEqual(whole);
      }),
    );
  });

  it('is told once per read', () => {
    let times = 0;
    const parser = new ResponseParser({ onHead() {}, onData: () => times++, onEnd() {} });
    parser.push(Buffer.from(CHUNKED));
    expect(times).toBe(1);
  });

  it.each([204, 304])('%i has no body', (status) => {
    expect(read([`HTTP/1.1 ${status} x\r\n\r\n`])).toMatchObject({ status, body: '', ended: true });
  });

  it.each([204, 304])('%i is the last one of its connection: what it says of a body may follow', (status) => {
    for (const said of ['', 'content-length: 30\r\n', 'transfer-encoding: chunked\r\n'])
      expect(read([`HTTP/1.1 ${status} x\r\n${said}\r\n`]).keepAlive).toBe(false);
  });

  it('says whether another may follow', () => {
    const keepAlive = (version: string, connection: string) =>
      read([`HTTP/1.${version} 200 OK\r\ncontent-length: 0\r\n${connection}\r\n`]).keepAlive;
    expect(keepAlive('1', '')).toBe(true);
    expect(keepAlive('1', 'Connection: foo, Close\r\n')).toBe(false);
    expect(keepAlive('0', '')).toBe(false);
    expect(keepAlive('0', 'connection: Keep-Alive\r\n')).toBe(true);
  });

  it('says so wherever in its list, also between thousands of spaces', () => {
    for (const options of ['a, close', `a${' '.repeat(15_000)}b,\tClose`, 'close ,,a']) {
      const text = `HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: ${options}\r\n\r\n`;
      for (let i = 0; i < 300; i += 1) {
        const parser = new ResponseParser({ onHead() {}, onData() {}, onEnd() {} });
        parser.push(Buffer.from(text));
        expect(parser.keepAlive).toBe(false);
      }
    }
  });

  it('is the last one of its connection if it comes in chunks that its version does not know', () => {
    const old = CHUNKED.replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n', '\r\nconnection: keep-alive\r\n');
    expect(read([old])).toMatchObject({ body: 'hello world', ended: true, keepAlive: false });
  });

  it('has values without the spaces and tabs around them', () => {
    const { contentType } = read([SIZED.replace('application/json', '\t a/b \xa0 \t')]);
    expect(contentType).toBe('a/b \xa0');
  });

  it('takes a length that is said twice', () => {
    const twice = SIZED.replace('content-length: 11', 'content-length: 11\r\ncontent-length: 11 , 11');
    expect(read([twice])).toEqual(read([SIZED]));
  });

  it('that is encoded in no way is as long as it says, or until the end, and the last one of its connection', () => {
    const identity = 'content-length: 11\r\nTransfer-Encoding: Identity';
    const seen = read([`${SIZED.replace('content-length: 11', identity)}HTTP/1.1 200 OK\r\n`]);
    expect(seen).toMatchObject({ body: 'hello world', ended: true, keepAlive: false });
    expect(seen.after).toBe('HTTP/1.1 200 OK\r\n');
    expect(read([SIZED.replace('content-length: 11', 'transfer-encoding: identity')])).toMatchObject({
      ...{ body: 'hello world', ended: true, keepAlive: false },
    });
  });

  it('says where it ends', () => {
    expect(read([`${SIZED}HTTP/1.1 200 OK\r\n`]).after).toBe('HTTP/1.1 200 OK\r\n');
    expect(read([`${CHUNKED}HTTP/1.1 200 OK\r\n`]).after).toBe('HTTP/1.1 200 OK\r\n');
  });
});

describe('what could be understood in two ways, or not at all, is refused:', () => {
  const head = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`;
  it.each([
    ['two lengths', head('content-length: 5', 'content-length: 6')],
    ['two lengths of one value, written in two ways', head('content-length: 5', 'content-length: 05')],
    ['a length that is the beginning of another', head('content-length: 5, 55')],
    ['a length beside chunks', head('content-length: 5', 'transfer-encoding: chunked')],
    ['an encoding besides chunks', head('transfer-encoding: gzip, chunked')],
    ['no encoding besides chunks', head('transfer-encoding: identity, chunked')],
    ['chunks besides no encoding', head('transfer-encoding: chunked', 'transfer-encoding: identity')],
    ['no encoding twice', head('content-length: 5', 'transfer-encoding: identity, identity')],
    ['no encoding and two lengths', head('transfer-encoding: identity', 'content-length: 5, 6')],
    ['chunks twice', head('transfer-encoding: chunked', 'transfer-encoding: chunked')],
    ['a length with a sign', head('content-length: +5')],
    ['a length behind what is no space', head('content-length: \xa05')],
    ['chunks behind what is no space', head('transfer-encoding: \xa0chunked')],
    ['a negative length', head('content-length: -5')],
    ['a length beyond numbers', head(`content-length: ${'9'.repeat(16)}`)],
    ['an empty length', head('content-length:')],
    ['a space before the colon', head('content-length : 5')],
    ['a folded line', head('x: a', ' b')],
    ['a line feed alone', head('x: a\ncontent-length: 5')],
    ['lines that end in a line feed alone', 'HTTP/1.1 200 OK\ncontent-length: 5\n\nhello'],
    ['a status that there is not', 'HTTP/1.1 000 Odd\r\ncontent-length: 0\r\n\r\n'],
    ['a control character', head('content-type: application/json; a=\x01')],
    ['a zero byte', head('x: a\0b')],
    ['a header without a name', head(': 5')],
    ['a header without a colon', head('content-length 5')],
    ['another protocol', 'HTTP/2 200\r\n\r\n'],
    ['no protocol at all', 'SSH-2.0-OpenSSH'],
    ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
    ['an announcement with a body', `HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\n\r\n${SIZED}`],
    ['an announcement in chunks', `HTTP/1.1 103 Early Hints\r\ntransfer-encoding: chunked\r\n\r\n${SIZED}`],
    ['announcements without end', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_001)}${SIZED}`],
    ['a head without an end', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(20_000)}`],
    ['a head that is too long', head(`x: ${'a'.repeat(20_000)}`)],
    ['a chunk without a size', `${head('transfer-encoding: chunked')}\r\n`],
    ['a chunk with a size of another kind', `${head('transfer-encoding: chunked')}0x5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk of a negative size', `${head('transfer-encoding: chunked')}-5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk beyond numbers', `${head('transfer-encoding: chunked')}${'f'.repeat(13)}\r\n`],
    ['a chunk that is longer than it says', `${head('transfer-encoding: chunked')}4\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size before a line feed alone', `${head('transfer-encoding: chunked')}5\nhello\r\n0\r\n\r\n`],
    ['an extension without end', `${head('transfer-encoding: chunked')}5;${'a'.repeat(5_000)}`],
    ['trailers without end', `${head('transfer-encoding: chunked')}0\r\n${'a: b\r\n'.repeat(2_000)}`],
    ['an early end in the head', 'HTTP/1.1 200 OK\r\n'],
    ['an early end in a sized body', head('content-length: 5')],
    ['an early end between chunks', `${head('transfer-encoding: chunked')}5\r\nhello\r\n`],
    ['an early end before the last empty line', `${head('transfer-encoding: chunked')}0\r\n`],
  ])('%s', (_, text) => {
    expect(() => read([text])).toThrow(ProtocolError);
    expect(() => read([...text])).toThrow(ProtocolError);
  });

  it('what came before is told all the same', () => {
    const told: string[] = [];
    const parser = new ResponseParser({ onHead() {}, onData: (b) => told.push(String(b)), onEnd() {} });
    expect(() =>
      parser.push(Buffer.from(`${head('transfer-encoding: chunked')}5\r\nhello\r\nx`)),
    ).not.toThrow();
    expect(() => parser.push(Buffer.from('\r\n'))).toThrow(ProtocolError);
    expect(told).toEqual(['hello']);
  });
});
