import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { ask, Collector, connect, expectIdle, failureOf, rawUpstream, reach, receive } from './harness.ts';

/** The same reply without us in between. */
async function direct(url: string, body: object, path = '/chat/completions'): Promise<string> {
  const headers = { 'x-request-id': 'req_1' };
  return (await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })).text();
}

const streamed = { model: 'fake-model', messages: [], stream: true, stream_options: { include_usage: true } };
const sameLength = { model: 'fake-model', messages: [{ role: 'user', content: 'Say it' }] };

describe('what is sent', () => {
  it('is the body of the client with our model name, our key and the request id', async () => {
    const { fake, relay } = await connect({}, { apiKey: 'sk-ours' });
    const body =
      '{ "messages":[ {"role":"user","content":"\\u4f60 model"} ], "model":"public-name","x":1.50 }';
    await (await relay(ask({ stream: false, body }))).pump(new Collector());
    const [seen] = fake.requests;
    expect(seen?.rawBody).toBe(body.replace('public-name', 'fake-model'));
    expect(seen?.path).toBe('/v1/chat/completions');
    const { host: _host, ...headers } = seen?.headers ?? {};
    expect(headers).toEqual({
      connection: 'keep-alive',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'user-agent': 'qianmen',
      authorization: 'Bearer sk-ours',
      accept: 'application/json',
      'x-request-id': 'req_1',
      'content-length': String(seen?.rawBody.length),
    });
  });

  it('asks every stream for its usage', async () => {
    const connected = await connect();
    await receive(connected);
    expect(connected.fake.requests[0]?.body?.stream_options).toEqual({ include_usage: true });
  });

  it('asks no stream for its usage where the server does not know the question, unless its client does', async () => {
    const bodies: { stream_options?: unknown }[] = [];
    const server = createServer(async (incoming, response) => {
      const body = (await text(incoming)) || '{}';
      bodies.push(JSON.parse(body));
      if (body.includes('stream_options'))
        response
          .writeHead(422)
          .end('{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}');
      else
        response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end('data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n');
    }).listen(0);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connected = reach(`http://127.0.0.1:${port}/v1`, { probe: { intervalMs: 60_000 } });
    for (let i = 0; i < 2; i += 1) expect(await receive(connected)).toContain('Hi');
    const asked = bodies.filter(({ stream_options }) => stream_options !== undefined);
    expect(asked).toHaveLength(1);
    expect(await failureOf(connected.relay(ask({ includeUsage: true })))).toMatchObject({ status: 422 });
    await expectIdle(connected);
    expect(connected.upstream.health().state).toBe('ready');
  });

  it('asks no stream for its usage where that is withheld', async () => {
    const connected = await connect({}, { withhold: ['stream_options'] });
    await receive(connected);
    await receive(connected, ask({ includeUsage: true }));
    expect(connected.fake.requests.map(({ body }) => body?.stream_options)).toEqual([undefined, undefined]);
  });

  it('asks again for usage where a refusal only repeats the question', async () => {
    const connected = await connect({
      status: 400,
      failFirst: 2,
      errorBody: { error: { message: 'Bad: stream_options' } },
    });
    expect(await failureOf(connected.relay())).toMatchObject({ status: 400 });
    await receive(connected);
    expect(connected.fake.requests.map(({ body }) => body?.stream_options !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('finds the path below a root with and without a slash at the end', async () => {
    const { fake } = await connect();
    for (const url of [fake.url, `${fake.url}/`, `${fake.url}//`])
      await receive(reach(url), ask({ path: '/completions' }));
    expect(fake.requests.map(({ path }) => path)).toEqual(Array(3).fill('/v1/completions'));
  });

  it('leaves out a request id that is no header value', async () => {
    const { fake, relay } = await connect();
    await (await relay({ ...ask(), id: 'a\r\nx: y' })).pump(new Collector());
    expect(fake.requests[0]?.headers).not.toHaveProperty('x-request-id');
  });
});

describe('what comes back', () => {
  it('is a stream, byte for byte', async () => {
    const connected = await connect({ tokens: 50, cachedTokens: 2 });
    const wanted = await direct(connected.fake.url, { ...streamed, messages: sameLength.messages });
    expect(await receive(connected, ask({ includeUsage: true }))).toBe(wanted);
  });

  it.each([1, 3, 100])('is a stream, byte for byte, sent in pieces of %i bytes', async (pieceBytes) => {
    const connected = await connect({ text: 'naïve 世界 🎉 data: x\n\nfin', pieceBytes });
    const text = await receive(connected, ask({ includeUsage: true }));
    connected.fake.setBehaviour({ text: 'naïve 世界 🎉 data: x\n\nfin' });
    expect(text).toBe(await direct(connected.fake.url, { ...streamed, messages: sameLength.messages }));
  });

  it('is a stream of a text completion', async () => {
    const connected = await connect();
    const text = await receive(connected, ask({ path: '/completions', includeUsage: true }));
    const { messages: _messages, ...rest } = streamed;
    expect(text).toBe(await direct(connected.fake.url, { ...rest, prompt: 'Say it' }, '/completions'));
  });

  it('is a stream without the usage event when nobody asked, and the usage is noted', async () => {
    const { relay } = await connect({ cachedTokens: 3 });
    const sink = new Collector();
    const reply = await relay();
    await reply.pump(sink);
    expect(sink.text).not.toContain('usage');
    expect(sink.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(reply.observation).toMatchObject({
      contentEvents: 8,
      finishReasons: ['stop'],
      usage: { completionTokens: 8, cachedPromptTokens: 3 },
    });
    expect(reply.contentType).toBe('text/event-stream; charset=utf-8');
  });

  it('is one write per read, also for a burst of events', async () => {
    const { relay } = await connect({ tokens: 200, burst: true });
    const sink = new Collector();
    await (await relay()).pump(sink);
    expect(sink.text.match(/data: /g)).toHaveLength(202);
    expect(sink.writes.length).toBeLessThan(5);
  });

  it('is a picture of many MB in one event, also where so many come at once that they wait for one another', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
    const before = 'data: {"choices":[{"index":0,"delta":{"images":["';
    // What is not to be shown has the event wait for its end.
    const usage = '"usage":{"prompt_tokens":5,"completion_tokens":1},';
    const after = '"]},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
    const letters = Buffer.alloc(8 * 1024 * 1024, 'x');
    let begun = 0;
    const { promise: allBegun, resolve: go } = Promise.withResolvers<void>();
    const url = await rawUpstream(async (socket) => {
      socket.write(head + before.replace('{', `{${usage}`));
      socket.write(letters.subarray(0, letters.length / 2));
      begun += 1;
      if (begun === 12) go();
      await allBegun;
      socket.write(letters.subarray(letters.length / 2));
      socket.end(after);
    });
    const connected = reach(url);
    const wanted = before.length + letters.length + after.length;
    const received = Array.from({ length: 12 }, async () => {
      const sink = new Collector();
      await (await connected.relay()).pump(sink);
      return [Buffer.concat(sink.writes).length, sink.writes.at(-1)?.toString('latin1').endsWith(after)];
    });
    expect(await Promise.all(received)).toEqual(Array(12).fill([wanted, true]));
    await expectIdle(connected);
  });

  it('starts before it ends', async () => {
    const { fake, relay } = await connect({ tokens: 4, stallAfterEvents: 3 });
    const leaving = new AbortController();
    const reply = await relay(ask(), leaving.signal);
    const sink = new Collector();
    const pumped = failureOf(reply.pump(sink));
    await expect.poll(() => sink.text).toContain('word1');
    expect(fake.inFlight()).toBe(1);
    expect(reply.observation.firstTokenAtMs).toBeGreaterThan(0);
    leaving.abort();
    expect((await pumped).code).toBe('client_closed');
  });

  it('is a JSON reply, byte for byte, with its usage noted', async () => {
    const { fake, relay } = await connect({ tokens: 30_000 });
    const sink = new Collector();
    const reply = await relay(ask({ stream: false }));
    await reply.pump(sink);
    expect(reply.status).toBe(200);
    expect(sink.text).toBe(await direct(fake.url, sameLength));
    expect(reply.observation).toMatchObject({ finishReasons: ['stop'], usage: { completionTokens: 30_000 } });
  });

  it('frees the connection for the next request', async () => {
    const connected = await connect();
    for (let i = 0; i < 10; i += 1) {
      await receive(connected);
      await sleep(1);
    }
    // One of them is the probe's.
    expect(connected.fake.connections()).toBeLessThanOrEqual(4);
  });

  it('waits for a free connection when there may be no more', async () => {
    const connected = await connect({ tokens: 3, itlMs: 5 }, { maxConnections: 2 });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, connected.fake.inFlight());
    }, 1);
    onTestFinished(() => clearInterval(watch));
    await Promise.all(Array.from({ length: 8 }, () => receive(connected)));
    expect(most).toBe(2);
    await expectIdle(connected);
  });
});

describe('refusals', () => {
  it.each([
    [400, 'upstream_rejected', 400],
    [401, 'upstream_refused', 502],
    [404, 'upstream_refused', 502],
    [422, 'upstream_rejected', 422],
    [429, 'rate_limit_exceeded', 429],
    [500, 'upstream_error', 502],
    [503, 'upstream_unreachable', 503],
    [504, 'upstream_timeout', 504],
  ])('HTTP %i becomes %s', async (status, code, ours) => {
    for (const stream of [true, false]) {
      const connected = await connect({ status, retryAfter: '1.5' });
      const error = await failureOf(connected.relay(ask({ stream })));
      expect(error).toMatchObject({ code, status: ours });
      if (status === 429 || status === 503) expect(error.retryAfterMs).toBe(1_500);
      await expectIdle(connected);
    }
  });

  it('does not follow a redirect', async () => {
    const elsewhere = await startFakeUpstream();
    onTestFinished(() => elsewhere.close());
    const connected = await connect({
      status: 307,
      headers: { location: `${elsewhere.url}/chat/completions` },
    });
    expect((await failureOf(connected.relay())).code).toBe('upstream_refused');
    expect(elsewhere.requests).toHaveLength(0);
  });

  it.each([
    [true, 'text/html'],
    [false, 'text/event-stream'],
    [false, 'text/html'],
  ])('takes no good reply of the wrong type (stream: %s, %s)', async (stream, contentType) => {
    const connected = await connect({ contentType });
    expect((await failureOf(connected.relay(ask({ stream })))).code).toBe('upstream_error');
    await expectIdle(connected);
  });

  it.each(['400 Bad Request', '200 OK'])('are understood behind a byte order mark (%s)', async (status) => {
    const body = Buffer.from('\ufeff{"error":{"message":"mend it","code":400}}');
    const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const connected = reach(
      await rawUpstream((socket) => socket.write(Buffer.concat([Buffer.from(head), body]))),
    );
    expect(await failureOf(connected.relay())).toMatchObject({
      code: 'upstream_rejected',
      message: 'mend it',
    });
  });

  it('reads a bounded part of an endless error body', async () => {
    const connected = await connect({ status: 500, errorBody: 'x'.repeat(20_000_000) });
    expect((await failureOf(connected.relay())).code).toBe('upstream_error');
    await expectIdle(connected);
    await expect.poll(() => connected.fake.inFlight()).toBe(0);
  });

  it('says which requirement it lacks only if it was told', async () => {
    const { upstream } = await connect({}, { capabilities: ['tools'] });
    const request = {
      ...ask(),
      requirements: [
        { capability: 'tools', param: 'tools' },
        { capability: 'image', param: 'messages' },
      ] as const,
    };
    expect(upstream.lacks(request)).toEqual({ capability: 'image', param: 'messages' });
    expect((await connect()).upstream.lacks(request)).toBeUndefined();
  });
});
