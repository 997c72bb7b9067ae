import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { GenerateRequest } from '../../src/core/request.ts';
import { ask, Collector, expectIdle, failureOf, rawUpstream, reach, receive } from './harness.ts';

const head = (status: number, lines: readonly string[]) =>
  `HTTP/1.1 ${status} Odd\r\n${['connection: close', ...lines].join('\r\n')}\r\n\r\n`;

describe('a refusal that is compressed although nobody asked', () => {
  const said = JSON.stringify({ error: { message: 'mend it', param: 'temperature' } });
  const long = Buffer.alloc(60_000_000, 'x');

  it.each([
    ['gzip', gzipSync(said)],
    ['X-GZIP', gzipSync(said)],
    ['deflate', deflateSync(said)],
    ['br', brotliCompressSync(said)],
    ['gzip', gzipSync(said).subarray(0, -8)],
    ['gzip', Buffer.from(said)],
  ])('%s: the client reads what to mend', async (encoding, body) => {
    const lines = ['content-type: application/json', `content-encoding: ${encoding}`];
    const url = await rawUpstream((socket) =>
      socket.end(Buffer.concat([Buffer.from(head(400, lines)), body])),
    );
    expect(await failureOf(reach(url).relay())).toMatchObject({
      code: 'upstream_rejected',
      message: 'mend it',
      param: 'temperature',
    });
  });

  it('is read, too, where it comes with status 200 in place of a stream', async () => {
    const lines = ['content-type: application/json', 'content-encoding: gzip'];
    const body = gzipSync(JSON.stringify({ error: { message: 'mend it', code: 400 } }));
    const url = await rawUpstream((socket) =>
      socket.end(Buffer.concat([Buffer.from(head(200, lines)), body])),
    );
    expect(await failureOf(reach(url).relay())).toMatchObject({ code: 'upstream_rejected', status: 400 });
  });

  it('is not unpacked to more than anybody reads', async () => {
    const lines = ['content-type: application/json', 'content-encoding: gzip'];
    const body = gzipSync(long);
    const url = await rawUpstream((socket) =>
      socket.end(Buffer.concat([Buffer.from(head(400, lines)), body])),
    );
    const before = process.memoryUsage().arrayBuffers;
    expect(await failureOf(reach(url).relay())).toMatchObject({ code: 'upstream_rejected', status: 400 });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });
});

describe('a reply of no type in particular', () => {
  const event = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n';
  const whole = '{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}';

  it.each(['text/plain', 'Text/Plain; charset=utf-8', 'application/octet-stream', ''])(
    'is known by its content (%s)',
    async (type) => {
      const answers = (body: string) =>
        rawUpstream((socket) => socket.end(head(200, [`content-type: ${type}`]) + body));
      expect(await receive(reach(await answers(event)))).toBe(`${event}data: [DONE]\n\n`);
      const connected = reach(await answers(whole));
      const relay = await connected.relay(ask({ stream: false }));
      expect([relay.contentType, relay.whole?.toString()]).toEqual(['application/json', whole]);
    },
  );

  it.each(['application/json', 'application/json; charset=utf-8'])(
    'is a stream where it is one by its content (%s)',
    async (type) => {
      const url = await rawUpstream((socket) => {
        socket.write(`${head(200, [`content-type: ${type}`])}\n`);
        setTimeout(() => socket.end(`${event}data: [DONE]\n\n`), 20);
      });
      expect(await receive(reach(url))).toBe(`${event}data: [DONE]\n\n`);
    },
  );

  it('is a whole reply where it is in some sort of JSON', async () => {
    const type = 'content-type: application/vnd.model+json';
    const url = await rawUpstream((socket) => socket.end(head(200, [type]) + whole));
    const relay = await reach(url).relay(ask({ stream: false }));
    expect([relay.contentType, relay.whole?.toString()]).toEqual(['application/json', whole]);
  });

  it('is no reply where it is a page, and operators read what it says', async () => {
    const url = await rawUpstream((socket) =>
      socket.end(`${head(200, ['content-type: text/plain'])}upstream connect error`),
    );
    expect(await failureOf(reach(url).relay())).toMatchObject({
      code: 'upstream_error',
      cause: { message: expect.stringContaining('upstream connect error') },
    });
  });
});

describe('a whole reply with log-probabilities that are no numbers', () => {
  const reply = (tokens: number, odd: string) =>
    `{"choices":[{"index":0,"message":{"content":"NaN"},"logprobs":{"content":[${Array(tokens).fill(`{"token":"-Infinity","logprob":${odd}}`)}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":${tokens}}}`;

  it.each([1, 5_000])('has null in their place (%i tokens)', async (tokens) => {
    const body = reply(tokens, '-Infinity');
    const url = await rawUpstream((socket) =>
      socket.write(head(200, ['content-type: application/json', `content-length: ${body.length}`]) + body),
    );
    const connected = reach(url);
    const sink = new Collector();
    const relay = await connected.relay({ ...ask({ stream: false }), topLogprobs: 0 });
    await relay.pump(sink);
    expect(sink.text).toBe(reply(tokens, 'null'));
    expect([undefined, sink.text.length]).toContain(relay.contentLength);
    await expectIdle(connected);
  });
});

describe('a whole reply with numbers that JSON does not have', () => {
  const told = async (body: string, request = ask({ stream: false })) => {
    const url = await rawUpstream((socket) =>
      socket.write(head(200, ['content-type: application/json', `content-length: ${body.length}`]) + body),
    );
    const connected = reach(url);
    const sink = new Collector();
    const relay = await connected.relay(request);
    await relay.pump(sink);
    await expectIdle(connected);
    expect([undefined, sink.text.length]).toContain(relay.contentLength);
    return sink.text;
  };

  it.each([1, 20_000])('has null in their place in embeddings (%i numbers)', async (numbers) => {
    const vector = (odd: string) => `[${'0.25,'.repeat(numbers)}${odd}]`;
    const body = (odd: string) =>
      `{"data":[{"embedding":${vector(odd)}}],"model":"NaN-1","usage":{"prompt_tokens":5,"total_tokens":5}}`;
    const { endpoint: _, ...read } = ask({ stream: false, path: '/embeddings' });
    const request = read as GenerateRequest;
    for (const odd of ['NaN', '-Infinity']) expect(await told(body(odd), request)).toBe(body('null'));
  });

  it('has null in their place wherever they stand', async () => {
    const body = (speed: string) =>
      `{"choices":[{"index":0,"message":{"content":"NaN"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1},"speed":${speed}}`;
    expect(await told(body('Infinity'))).toBe(body('null'));
  });
});

it('a whole reply that is broken inside of a value is none', async () => {
  const body =
    '{"choices":[{"index":0,"message":{"content":"a","x":oops},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}';
  const url = await rawUpstream((socket) =>
    socket.write(head(200, ['content-type: application/json', `content-length: ${body.length}`]) + body),
  );
  expect(await failureOf(reach(url).relay(ask({ stream: false })))).toMatchObject({
    code: 'upstream_error',
    retryable: true,
  });
});

it('a stream whose last event goes too deep to be written without its usage fails, and does not wait for ever', async () => {
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
  const event = `data: {"x":${deep},"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{}}`;
  for (const end of ['', '\n\n']) {
    const url = await rawUpstream((socket) =>
      socket.end(head(200, ['content-type: text/event-stream']) + event + end),
    );
    const connected = reach(url);
    expect(await failureOf(receive(connected))).toMatchObject({ code: 'upstream_error' });
    await expectIdle(connected);
  }
});
