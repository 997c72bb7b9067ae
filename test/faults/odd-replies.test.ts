import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { type Answer, isWhole, type ServedFleet, serveUpstreams } from '../resilience/fleet.ts';
import { rawUpstream } from '../upstream/harness.ts';

/** Pieces go out as reads of their own. */
type Pieces = readonly (string | Buffer)[];

const chunk = (delta: object | string, finish: string | null = null, extra: object = {}) =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'fake-model',
    choices: [
      { index: 0, delta: typeof delta === 'string' ? { content: delta } : delta, finish_reason: finish },
    ],
    ...extra,
  });
const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
const usage = JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', choices: [], usage: USAGE });
const CHUNKS = [chunk({ role: 'assistant', content: '' }), chunk('Hello'), chunk(' there', 'stop'), usage];
const DATA = [...CHUNKS, '[DONE]'];
const WHOLE = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'fake-model',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' }, finish_reason: 'stop' }],
  usage: USAGE,
});

const events = (data: readonly string[], newline = '\n', before = 'data: ') =>
  data.map((one) => `${before}${one}${newline}${newline}`).join('');
const head = (lines: readonly string[], status = 'HTTP/1.1 200 OK') =>
  `${[status, ...lines].join('\r\n')}\r\n\r\n`;
const SSE = 'content-type: text/event-stream';
const JSON_TYPE = 'content-type: application/json';
const CLOSE = 'connection: close';
const CHUNKED = 'transfer-encoding: chunked';
const asChunk = (text: string, extension = '') =>
  `${Buffer.byteLength(text).toString(16).toUpperCase()}${extension}\r\n${text}\r\n`;
const stream = (body: string, lines: readonly string[] = []) => [head([SSE, CLOSE, ...lines]) + body];
const bytewise = (text: string) => [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
const sized = (body: string) => `content-length: ${Buffer.byteLength(body)}`;

/** Odd, but it can be understood: the client gets a stream like any other. */
const STREAMS: Record<string, Pieces> = {
  'comes byte by byte': bytewise(head([SSE, CLOSE]) + events(DATA)),
  'ends its lines in CR LF': stream(events(DATA, '\r\n')),
  'ends its lines in CR alone': stream(events(DATA, '\r')),
  'ends its lines in CR alone, byte by byte': bytewise(head([SSE, CLOSE]) + events(DATA, '\r')),
  'begins with a byte order mark': stream(`\ufeff${events(DATA)}`),
  'begins with a byte order mark, byte by byte': bytewise(`${head([SSE, CLOSE])}\ufeff${events(DATA)}`),
  'has no space after the colon': stream(events(DATA, '\n', 'data:')),
  'has a space after [DONE]': stream(events([...CHUNKS, '[DONE] '])),
  'has ids, names and comments beside its data': stream(
    `: hello\n\nretry: 10\n\n${events(DATA, '\n', 'event: message\nid: 7\n: still here\ndata: ')}`,
  ),
  'spreads an event over lines': stream(
    events(DATA.map((one) => one.replace('"choices"', '\ndata: "choices"'))),
  ),
  'has blank lines before and between events': stream(`\n\n\n${events(DATA, '\n\n')}`),
  'has an id of 100 KB in every chunk': stream(
    events(DATA.map((one) => one.replace('"c1"', JSON.stringify('c'.repeat(100_000))))),
  ),
  'has chunks without choices': stream(
    events([
      JSON.stringify({ id: '', model: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
      ...DATA,
    ]),
  ),
  'has its usage in the middle, and says it again': stream(
    events([CHUNKS[0]!, CHUNKS[1]!, usage, CHUNKS[2]!, usage, '[DONE]']),
  ),
  'tells its usage with every chunk': stream(
    events([chunk('Hello', null, { usage: USAGE }), chunk(' there', 'stop', { usage: USAGE }), '[DONE]']),
  ),
  'has a usage of null in every chunk': stream(
    events([
      chunk('Hello', null, { usage: null }),
      chunk(' there', 'stop', { usage: null }),
      usage,
      '[DONE]',
    ]),
  ),
  'finishes twice': stream(events([...CHUNKS.slice(0, 3), chunk({}, 'stop'), usage, '[DONE]'])),
  'says that it finishes for a reason without a name until it does': stream(
    events([chunk('Hello', ''), chunk(' there', ''), chunk({}, 'stop'), usage, '[DONE]']),
  ),
  'finishes for a reason nobody knows': stream(
    events([chunk('Hello'), chunk(' there', 'eos_token'), usage, '[DONE]']),
  ),
  'goes on after [DONE]': stream(events([...DATA, chunk('more'), 'nonsense'])),
  'does not say [DONE]': stream(events(CHUNKS)),
  'does not say why it ends': stream(events([CHUNKS[0]!, CHUNKS[1]!, chunk(' there'), usage, '[DONE]'])),
  'says neither why it ends nor what it used': stream(events([chunk('Hello'), chunk(' there'), '[DONE]'])),
  'has its type in capitals': [
    head(['Content-Type: Text/Event-Stream; Charset=UTF-8', CLOSE]) + events(DATA),
  ],
  'does not tell its type': [head([CLOSE]) + events(DATA)],
  'is of HTTP/1.0': [head([SSE], 'HTTP/1.0 200 OK') + events(DATA)],
  'has no reason phrase': [head([SSE, CLOSE], 'HTTP/1.1 200') + events(DATA)],
  'is announced by others': [
    `${head([], 'HTTP/1.1 100 Continue')}${head(['link: </x>'], 'HTTP/1.1 103 Early Hints')}`,
    head([], 'HTTP/1.1 102 Processing'),
    ...stream(events(DATA)),
  ],
  'has a chunk per byte': [
    head([SSE, CHUNKED]) + [...events(DATA)].map((letter) => asChunk(letter)).join('') + asChunk(''),
  ],
  'has chunks with extensions, and trailers': [
    `${head([SSE, CHUNKED, 'trailer: x-sum'])}${DATA.map((one) => asChunk(events([one]), ' ;a="b;c";d')).join('')}`,
    '000;last\r\nx-sum: 1\r\nx-other: 2\r\n\r\n',
  ],
  'has chunks cut in the middle of a character': [
    head([SSE, CHUNKED]),
    ...(() => {
      const bytes = Buffer.from(
        events([chunk('Hello'), chunk(' there'), chunk(' 你好 🚀', 'stop'), usage, '[DONE]']),
      );
      const size = (part: Buffer) =>
        Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
      const at = bytes.indexOf(Buffer.from('🚀')) + 2;
      return [size(bytes.subarray(0, at)), size(bytes.subarray(at)), '0\r\n\r\n'];
    })(),
  ],
  'says that it is encoded in no way': stream(events(DATA), ['content-encoding: none']),
  'says that it is not in chunks': stream(events(DATA), ['transfer-encoding: identity']),
  'tells its usage where it finishes': stream(
    events([
      CHUNKS[1]!,
      JSON.stringify({
        choices: [{ index: 0, delta: { content: ' there' }, finish_reason: 'stop', usage: USAGE }],
      }),
      '[DONE]',
    ]),
  ),
  'says its length twice': [head([SSE, sized(events(DATA)), sized(events(DATA))]) + events(DATA)],
  'is kept alive by events of its own': stream(`event: ping\ndata: still here\n\n${events(DATA)}`),
  'has a length': [head([SSE, sized(events(DATA))]) + events(DATA)],
};

/** The same for replies that are not streamed. */
const WHOLES: Record<string, Pieces> = {
  'comes byte by byte': bytewise(head([JSON_TYPE, sized(WHOLE)]) + WHOLE),
  'comes after blank lines that kept the connection open': [
    head([JSON_TYPE, CHUNKED]),
    asChunk('\n'),
    asChunk('\n\n'),
    asChunk(`${WHOLE}\n`) + asChunk(''),
  ],
  'says its length twice': [head([JSON_TYPE, sized(WHOLE), sized(WHOLE)]) + WHOLE],
  'begins with a byte order mark': [head([JSON_TYPE, sized(`\ufeff${WHOLE}`)]), `\ufeff${WHOLE}`],
  'begins with a byte order mark, byte by byte': bytewise(`${head([JSON_TYPE, CLOSE])}\ufeff${WHOLE}`),
  'is of HTTP/1.0': [head([JSON_TYPE], 'HTTP/1.0 200 OK') + WHOLE],
  'has its type in capitals': [head(['CONTENT-TYPE: Application/JSON', sized(WHOLE)]) + WHOLE],
  'does not tell its type': [head([sized(WHOLE)]) + WHOLE],
  'has an old name of its type': [head(['content-type: text/json; charset=utf-8', sized(WHOLE)]) + WHOLE],
  'says that it is not in chunks': [head([JSON_TYPE, sized(WHOLE), 'transfer-encoding: identity']) + WHOLE],
  'is announced by others': [head([], 'HTTP/1.1 103 Early Hints'), head([JSON_TYPE, sized(WHOLE)]) + WHOLE],
  'has chunks with extensions, and trailers': [
    `${head([JSON_TYPE, CHUNKED])}${asChunk(WHOLE.slice(0, 40), ';x')}${asChunk(WHOLE.slice(40))}0\r\nx-a: b\r\n\r\n`,
  ],
  'is followed by bytes that nobody asked for': [
    `${head([JSON_TYPE, sized(WHOLE)])}${WHOLE}HTTP/1.1 200 OK\r\n`,
  ],
  'has its errors set to null': [
    (() => {
      const body = WHOLE.replace('"object"', '"error":null,"object"');
      return head([JSON_TYPE, sized(body)]) + body;
    })(),
  ],
};

const gzipped = (body: string, type: string) => {
  const bytes = gzipSync(body);
  return [head([type, 'content-encoding: gzip', `content-length: ${bytes.length}`]), bytes];
};

/** What cannot be understood, or may be in two ways: another one answers. By name: for streams, for whole replies. */
const REFUSED: Record<string, readonly [Pieces, Pieces]> = {
  'is compressed although nobody asked for it': [gzipped(events(DATA), SSE), gzipped(WHOLE, JSON_TYPE)],
  'has a folded header': [
    stream(events(DATA), ['x-a: b\r\n c']),
    [head([JSON_TYPE, CLOSE, 'x-a: b\r\n\tc']) + WHOLE],
  ],
  'has a header of 64 KB': [
    stream(events(DATA), [`x-a: ${'a'.repeat(65_536)}`]),
    [head([JSON_TYPE, CLOSE, `x-a: ${'a'.repeat(65_536)}`]) + WHOLE],
  ],
  'has a length beside chunks': [
    [`${head([SSE, CHUNKED, 'content-length: 5'])}${asChunk(events(DATA))}${asChunk('')}`],
    [`${head([JSON_TYPE, CHUNKED, sized(WHOLE)])}${asChunk(WHOLE)}${asChunk('')}`],
  ],
  'has two lengths': [
    [head([SSE, sized(events(DATA)), 'content-length: 60']) + events(DATA)],
    [head([JSON_TYPE, sized(WHOLE), 'content-length: 60']) + WHOLE],
  ],
  'is shorter than its length': [
    [head([SSE, 'content-length: 60', CLOSE]) + events(DATA).slice(0, 20)],
    [head([JSON_TYPE, `content-length: ${WHOLE.length + 5}`, CLOSE]) + WHOLE],
  ],
  'is longer than its length': [
    [head([SSE, 'content-length: 20']) + events(DATA)],
    [head([JSON_TYPE, 'content-length: 20']) + WHOLE],
  ],
  'has no content': [
    [head([], 'HTTP/1.1 204 No Content') + events(DATA)],
    [head([JSON_TYPE], 'HTTP/1.1 204 No Content') + WHOLE],
  ],
  'says that nothing has changed': [
    [head([SSE], 'HTTP/1.1 304 Not Modified') + events(DATA)],
    [head([JSON_TYPE], 'HTTP/1.1 304 Not Modified') + WHOLE],
  ],
  'is somewhere else': [
    [head(['location: http://secret-host/', 'content-length: 0'], 'HTTP/1.1 302 Found')],
    [head(['location: http://secret-host/', 'content-length: 0'], 'HTTP/1.1 308 Permanent Redirect')],
  ],
};

async function send(socket: Socket, pieces: Pieces): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
}

function odd(pieces: Pieces): Promise<string> {
  return rawUpstream((socket) => void send(socket, pieces));
}

/** A client that reads as the specification says. */
function contentOf({ text }: Answer): string {
  let content = '';
  for (const event of text.split('\n\n')) {
    const data = event
      .split('\n')
      .flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []))
      .join('\n');
    if (data === '' || data.trim() === '[DONE]') continue;
    for (const { delta } of JSON.parse(data).choices) content += delta.content ?? '';
  }
  return content;
}

async function tokens({ url }: ServedFleet, kind: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    new RegExp(`^qianmen_tokens_total\\{[^}]*kind="${kind}"[^}]*\\} (\\d+)`, 'm').exec(text)?.[1],
  );
}

async function expectServedAlone(fleet: ServedFleet, stream: boolean): Promise<Answer> {
  const answer = await fleet.ask({ stream });
  expect(answer.status, answer.text).toBe(200);
  await fleet.idle();
  expect(await tokens(fleet, 'completion')).toBe(2);
  expect(fleet.backend('a').health.state).toBe('ready');
  return answer;
}

const SLOW = { upstream: { probe: { intervalMs: 60_000 } } };

describe('a stream that', () => {
  it.each(Object.entries(STREAMS))('%s is a stream like any other', async (_, pieces) => {
    const fleet = await serveUpstreams([await odd(pieces)], SLOW);
    const answer = await expectServedAlone(fleet, true);
    expect(answer.text).toMatch(/data: ?\[DONE\] ?[\r\n]+$/);
    expect(answer.text).not.toContain('"error"');
    expect(contentOf({ ...answer, text: answer.text.replaceAll('\r\n', '\n') })).toMatch(/^Hello there/);
    expect(answer.text).not.toContain('more');
  });
});

describe('a whole reply that', () => {
  it.each(Object.entries(WHOLES))('%s is a reply like any other', async (_, pieces) => {
    const fleet = await serveUpstreams([await odd(pieces)], SLOW);
    const { text } = await expectServedAlone(fleet, false);
    expect(JSON.parse(text).choices[0].message.content).toBe('Hello there');
  });
});

describe('a reply that', () => {
  const cases = Object.entries(REFUSED).flatMap(([name, [stream, whole]]) => [
    [name, true, stream] as const,
    [name, false, whole] as const,
  ]);
  it.each(cases)('%s is given by another (stream: %s)', async (_, streamed, pieces) => {
    const good = await startFakeUpstream();
    onTestFinished(() => good.close());
    const fleet = await serveUpstreams([await odd(pieces), good.url], SLOW);
    for (let i = 0; i < 4; i += 1) {
      const answer = await fleet.ask({ stream: streamed });
      expect(answer.status, answer.text).toBe(200);
      expect(answer.text).toContain('word0');
      if (streamed) expect(isWhole(answer)).toBe(true);
    }
    expect(fleet.backend('b').retries).toBeGreaterThan(0);
    await fleet.idle();
  });

  it.each(cases)(
    '%s is an error without its like, and tells nothing (stream: %s)',
    async (_, streamed, pieces) => {
      const fleet = await serveUpstreams([await odd(pieces)], SLOW);
      const answer = await fleet.ask({ stream: streamed });
      expect(answer.status).toBe(502);
      expect(JSON.parse(answer.text).error.code).toMatch(/^upstream_(error|refused)$/);
      expect(answer.text).not.toContain('secret-host');
      await fleet.idle();
    },
  );
});
