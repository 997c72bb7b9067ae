import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RawConnection } from '../conformance/raw-connection.ts';
import { ECHO, type FrontServer, post, serveFront } from './front-server.ts';

const LIMITS = { requestTimeoutMs: 300 };

/** What was asked over one connection on which these writes were made, until the server closed it. */
async function askedFor(front: FrontServer, writes: readonly string[]) {
  const from = front.asked.length;
  const connection = await RawConnection.open(front.url);
  let sentBytes = 0;
  for (const text of writes) {
    connection.send(Buffer.from(text, 'latin1'));
    sentBytes += text.length;
    await readBy(front, connection, sentBytes);
  }
  // Where an upgrade is asked for that it does not do, Node leaves the connection open.
  const untilMs = performance.now() + 3_000;
  while (!connection.socket.closed && performance.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 2));
  const asked = front.asked.slice(from).map(({ path, body }) => ({ path, body }));
  const replies = connection.received.match(/HTTP\/1\.1 (?=200)/g)?.length ?? 0;
  return { asked, replies, refused: connection.received.includes('HTTP/1.1 400') };
}

/** So that what is written next comes in a read of its own; a server that has stopped reading is not waited for. */
async function readBy({ sockets }: FrontServer, { socket }: RawConnection, sentBytes: number) {
  const { localPort } = socket;
  const untilMs = performance.now() + 250;
  const isRead = () =>
    (sockets.findLast(({ remotePort }) => remotePort === localPort)?.bytesRead ?? 0) >= sentBytes;
  while (!isRead() && !socket.closed && performance.now() < untilMs) await new Promise(setImmediate);
}

const HEAD = `POST ${ECHO} HTTP/1.1\r\nhost: a\r\n`;
const INNER = 'POST /stolen HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n';
const CHUNKS = `${INNER.length.toString(16)}\r\n${INNER}\r\n0\r\n\r\n`;

/** Ends the connection, so that nobody waits for more. */
const VICTIM = post('victim', ['connection: close']);

it.each([
  ['a length and chunks', `${HEAD}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nX`],
  ['chunks and a length', `${HEAD}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n${CHUNKS}`],
  ['two lengths', `${HEAD}content-length: 0\r\ncontent-length: ${INNER.length}\r\n\r\n${INNER}`],
  ['two lengths alike', `${HEAD}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`],
  ['two lengths in one line', `${HEAD}content-length: 3, 3\r\n\r\nabc`],
  ['a length before a no-break space', `${HEAD}content-length: ${INNER.length}\xa0\r\n\r\n${INNER}`],
  ['a length with a sign', `${HEAD}content-length: +3\r\n\r\nabc`],
  ['a length with zeros', `${HEAD}content-length: 003\r\n\r\nabc`],
  ['a length that overflows', `${HEAD}content-length: 18446744073709551619\r\n\r\nabc`],
  ['a folded length', `${HEAD}content-length:\r\n 3\r\n\r\nabc`],
  ['a folded coding', `${HEAD}content-length: 5\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
  ['a folded line', `${HEAD}content-length: 3\r\nx-a: 1\r\n transfer-encoding: chunked\r\n\r\nabc`],
  ['a space before the colon', `${HEAD}content-length: 5\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a space before a length', `${HEAD}content-length : 3\r\n\r\nabc`],
  ['a tab before the colon', `${HEAD}content-length: 5\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n`],
  ['a bare LF', `${HEAD}content-length: 5\r\nx-a: 1\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a bare LF at the end of the head', `${HEAD}content-length: 3\r\n\nabc`],
  ['two bare LF', `${HEAD}content-length: 3\n\nabc`],
  ['a bare CR', `${HEAD}content-length: 5\r\nx-a: 1\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['CR CR LF', `${HEAD}content-length: 3\r\nx-a: 1\r\r\n\r\nabc`],
  ['NUL in a value', `${HEAD}content-length: 3\r\nx-a: \0\r\n\r\nabc`],
  ['NUL in a name', `${HEAD}content-length: 5\r\n\0transfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks, plainly', `${HEAD}transfer-encoding: chunked\r\n\r\n${CHUNKS}`],
  ['chunks in capitals', `${HEAD}Transfer-Encoding: CHUNKED\r\n\r\n${CHUNKS}`],
  ['identity', `${HEAD}transfer-encoding: identity\r\ncontent-length: 3\r\n\r\nabc`],
  ['identity alone', `${HEAD}transfer-encoding: identity\r\n\r\n${INNER}`],
  ['chunked and identity', `${HEAD}transfer-encoding: chunked, identity\r\n\r\n${CHUNKS}`],
  ['a coding that sounds alike', `${HEAD}transfer-encoding: xchunked\r\ncontent-length: 3\r\n\r\nabc`],
  ['a quoted coding', `${HEAD}transfer-encoding: "chunked"\r\ncontent-length: 3\r\n\r\nabc`],
  ['a coding behind a vertical tab', `${HEAD}transfer-encoding:\x0bchunked\r\ncontent-length: 3\r\n\r\nabc`],
  ['an absolute target', post('abc', [], `http://a${ECHO}`)],
  ['an absolute target of another host', post('abc', [], `http://b${ECHO}`)],
  ['a target with an escape', post('abc', [], '/%65cho')],
  ['a method in lower case', post('abc').replace('POST', 'post')],
  ['another method', post('abc').replace('POST', 'PUT')],
  ['no method there is', post('abc').replace('POST', 'POSTX')],
  ['two spaces', post('abc').replace('POST ', 'POST  ')],
  ['a tab', post('abc').replace('POST ', 'POST\t')],
  ['a version that is none', post('abc').replace('1.1', '1.2')],
  ['HTTP/1.0', post('abc').replace('1.1', '1.0')],
  ['HTTP/0.9', 'GET /echo\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['no body and no length', `${HEAD}\r\n`],
  ['lines before', `\r\n\r\n${post('abc')}`],
  ['lines after', `${post('abc')}\r\n`],
  ['a body that is longer than it says', `${post('abc')}d`],
  ['an upgrade', post('abc', ['connection: upgrade', 'upgrade: websocket'])],
  ['an upgrade that is not asked for', post('abc', ['upgrade: h2c'])],
  ['a tunnel', `CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n${INNER}`],
  ['a connection that is to stay and to close', post('abc', ['connection: keep-alive, close'])],
  ['a connection that drops its length', post('abc', ['connection: content-length'])],
])('%s is read as Node reads it, after a plain request and before one', async (_, bytes) => {
  const [front, bare] = [
    await serveFront({ listen: LIMITS }),
    await serveFront({ listen: LIMITS, bare: true }),
  ];
  for (const writes of [
    [post('first') + bytes + VICTIM],
    [post('first'), bytes, VICTIM],
    [post('first') + bytes, VICTIM],
  ]) {
    const [{ asked, replies }, expected] = await Promise.all([
      askedFor(front, writes),
      askedFor(bare, writes),
    ]);
    expect(asked).toEqual(expected.asked);
    // Whoever was understood was answered.
    expect(replies).toBe(asked.length);
  }
});

it('whatever comes, in whatever pieces, is read as Node reads it', async () => {
  const odd = fc.constantFrom(...'\r\n\0 \t:\x7f\xa0\x0b,;A1-'.split(''), '\r\n', '\r\n ', '\r\n\r\n', '\n');
  const change = fc.record({ at: fc.nat(), by: odd, replaced: fc.nat(2) });
  const request = fc.oneof(
    fc.string({ maxLength: 30 }).map((body) => post(body)),
    fc.constantFrom(INNER, post('a', ['connection: close']), post(post('inner')), post('', ['x-a: b'])),
    fc.constantFrom(
      'GET /a HTTP/1.1\r\nhost: a\r\n\r\n',
      `${HEAD}transfer-encoding: chunked\r\n\r\n${CHUNKS}`,
    ),
  );
  const mutated = fc
    .tuple(request, fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([text, changes]) => {
      let result = text;
      for (const { at, by, replaced } of changes) {
        const start = at % result.length;
        result = result.slice(0, start) + by + result.slice(start + replaced);
      }
      return result;
    });
  const sequence = fc.array(fc.oneof({ weight: 3, arbitrary: request }, mutated), {
    minLength: 1,
    maxLength: 5,
  });
  const cases = fc.tuple(sequence, fc.array(fc.nat(), { maxLength: 3 })).map(([requests, cuts]) => {
    const text = requests.join('') + VICTIM;
    const ends = [...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
    return ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end)).filter(Boolean);
  });
  const listen = { requestTimeoutMs: 500 };
  const pairs = await Promise.all(
    Array.from({ length: 10 }, () =>
      Promise.all([serveFront({ listen }), serveFront({ listen, bare: true })] as const),
    ),
  );
  const all = fc.sample(cases, 1_000);
  await Promise.all(
    pairs.map(async ([front, bare], lane) => {
      for (let i = lane; i < all.length; i += pairs.length) {
        const writes = all[i]!;
        const [ours, nodes] = await Promise.all([askedFor(front, writes), askedFor(bare, writes)]);
        // After a refusal Node goes on to read what has come by then: more, or less.
        const both = Math.min(ours.asked.length, nodes.asked.length);
        const count = ours.refused || nodes.refused ? both : undefined;
        expect(ours.asked.slice(0, count), JSON.stringify(writes)).toEqual(nodes.asked.slice(0, count));
      }
    }),
  );
}, 120_000);
