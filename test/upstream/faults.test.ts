import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RelaySink } from '../../src/core/backend.ts';
import type { UpstreamTimeouts } from '../../src/upstream/upstream-options.ts';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { freePort } from '../support/free-port.ts';
import {
  ask,
  Collector,
  connect,
  expectIdle,
  type FakeProcess,
  failureOf,
  pour,
  rawServer,
  rawUpstream,
  reach,
  receive,
  spawnFake,
} from './harness.ts';

/** Pumps a reply that breaks off: what came before, and why. */
async function broken(connected: Pick<Awaited<ReturnType<typeof connect>>, 'relay'>, request = ask()) {
  const sink = new Collector();
  const error = await failureOf((await connected.relay(request)).pump(sink));
  return { text: sink.text, error };
}

describe('before the first byte: may be retried elsewhere', () => {
  it('nobody listens', async () => {
    const connected = reach(`http://127.0.0.1:${await freePort()}/v1`);
    expect(await failureOf(connected.relay())).toMatchObject({
      code: 'upstream_unreachable',
      retryable: true,
    });
    await expectIdle(connected);
  });

  it('the host does not exist', async () => {
    const connected = reach('http://no-such-host.invalid/v1');
    expect(await failureOf(connected.relay())).toMatchObject({
      code: 'upstream_unreachable',
      retryable: true,
    });
  });

  it.each([true, false])('the connection is cut (stream: %s)', async (stream) => {
    const connected = await connect({ dieAfterEvents: 0 });
    expect(await failureOf(connected.relay(ask({ stream })))).toMatchObject({
      code: 'upstream_error',
      retryable: true,
    });
    await expectIdle(connected);
  });

  it('the headers do not come in time', async () => {
    const connected = await connect({ headerDelayMs: 60_000 }, { timeouts: { firstByteMs: 100 } });
    expect(await failureOf(connected.relay())).toMatchObject({ code: 'upstream_timeout', retryable: true });
    await expectIdle(connected);
    await expect.poll(() => connected.fake.inFlight()).toBe(0);
  });

  it('the first event does not come in time, although the headers did', async () => {
    const connected = await connect({ stallAfterEvents: 0 }, { timeouts: { firstByteMs: 100 } });
    expect((await failureOf(connected.relay())).code).toBe('upstream_timeout');
    await expect.poll(() => connected.fake.inFlight()).toBe(0);
  });

  it('a whole reply does not come in the time for everything; the first-byte limit is not for it', async () => {
    const slow = await connect({ ttftMs: 150 }, { timeouts: { firstByteMs: 20 } });
    expect(await receive(slow, ask({ stream: false }))).toContain('word0');
    const never = await connect({ ttftMs: 60_000 }, { timeouts: { totalMs: 100 } });
    expect((await failureOf(never.relay(ask({ stream: false })))).code).toBe('upstream_timeout');
  });

  it('the first event is an error', async () => {
    const connected = await connect({ errorAfterEvents: 0 });
    const error = await failureOf(connected.relay());
    expect(error).toMatchObject({ code: 'upstream_error', retryable: true });
    expect(error.message).not.toContain('EngineCore');
    await expectIdle(connected);
  });

  it('the first event is not JSON, or never ends', async () => {
    expect((await failureOf((await connect({ malformedAfterEvents: 0 })).relay())).code).toBe(
      'upstream_error',
    );
    const endless = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ';
    const url = await rawServer((socket) => pour(socket, endless, 'x'.repeat(65_536)));
    expect((await failureOf(reach(url).relay())).code).toBe('upstream_error');
  });

  it.each([
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['nothing', ''],
    ['a broken length', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}'],
    ['no body', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n'],
    ['no content', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ])('the answer is %s', async (_name, answer) => {
    const url = await rawServer((socket) => socket.once('data', () => socket.end(answer)));
    const connected = reach(url);
    expect(await failureOf(connected.relay(ask({ stream: false })))).toMatchObject({
      code: 'upstream_error',
      retryable: true,
    });
    await expectIdle(connected);
  });
});

describe('of a whole reply that has begun', () => {
  const reply = (words: number) =>
    JSON.stringify({
      choices: [{ index: 0, message: { content: 'word '.repeat(words) }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: words },
    });
  const sized = (body: string) =>
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

  it.each([
    ['is cut off', 60_000, (body: string) => body.slice(0, -20)],
    ['is cut off, and too large to keep', 600_000, (body: string) => body.slice(0, -20)],
    ['goes on, and is too large to keep', 600_000, (body: string) => `${body}{}`],
  ])('nobody gets all that was announced where it %s', async (_name, words, breakIt) => {
    const sent = breakIt(reply(words));
    const connected = reach(await rawUpstream((socket) => void socket.write(sized(sent))));
    const sink = new Collector();
    const relay = await connected.relay(ask({ stream: false }));
    expect(relay.contentLength).toBe(sent.length);
    expect(await failureOf(relay.pump(sink))).toMatchObject({ code: 'upstream_error' });
    expect(sink.text.length).toBeLessThan(sent.length);
    await expectIdle(connected);
  });

  it('a byte order mark is left out, and out of what is announced', async () => {
    const sent = reply(20_000);
    const connected = reach(await rawUpstream((socket) => void socket.write(sized(`\ufeff${sent}`))));
    const sink = new Collector();
    const relay = await connected.relay(ask({ stream: false }));
    expect(relay.contentLength).toBe(sent.length);
    await relay.pump(sink);
    expect(sink.text).toBe(sent);
  });
});

describe('in the middle of a stream', () => {
  const CUT = /word1[^\n]*\n\n$/;

  it('the connection is cut', async () => {
    const connected = await connect({ dieAfterEvents: 3, itlMs: 5 });
    const { text, error } = await broken(connected);
    expect(text).toMatch(CUT);
    expect(error.code).toBe('upstream_error');
    await expectIdle(connected);
  });

  it('an error event comes', async () => {
    const { text, error } = await broken(await connect({ errorAfterEvents: 3, itlMs: 5 }));
    expect(text).toMatch(CUT);
    expect(error).toMatchObject({ code: 'upstream_error', message: 'The model server failed.' });
  });

  it('nothing more comes', async () => {
    const connected = await connect({ stallAfterEvents: 3 }, { timeouts: { idleMs: 100 } });
    const { text, error } = await broken(connected);
    expect(text).toMatch(CUT);
    expect(error.code).toBe('upstream_timeout');
    await expect.poll(() => connected.fake.inFlight()).toBe(0);
  });

  it('it takes longer than everything may', async () => {
    const connected = await connect({ itlMs: 10, tokens: 1_000 }, { timeouts: { totalMs: 300 } });
    expect((await broken(connected)).error.code).toBe('upstream_timeout');
    await expectIdle(connected);
  });

  it('a line never ends', async () => {
    const connected = await connect({ hugeLineBytes: 50_000_000 });
    // Nothing but the role has come before it: another server may take over.
    expect(await failureOf(connected.relay())).toMatchObject({ code: 'upstream_error', retryable: true });
    await expectIdle(connected);
    await expect.poll(() => connected.fake.inFlight()).toBe(0);
    expect(connected.fake.requests[0]?.sentBytes).toBeLessThan(30_000_000);
  });

  it('what comes is not JSON', async () => {
    const { text, error } = await broken(await connect({ malformedAfterEvents: 3, itlMs: 5 }));
    expect(text).toMatch(CUT);
    expect(error.code).toBe('upstream_error');
  });

  it('the end comes without [DONE]: the reply is complete if a finish reason came before, broken else', async () => {
    const whole = await connect({ omitDone: true, tokens: 2, itlMs: 5 });
    expect(await receive(whole)).toMatch(/"finish_reason":"stop".*\n\ndata: \[DONE\]\n\n$/s);
    await expectIdle(whole);
    expect(whole.upstream.health().state).toBe('ready');

    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
    const url = await rawServer((socket) => {
      socket.once('data', () => {
        socket.end(`${head}data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n`);
      });
    });
    const { text, error } = await broken(reach(url));
    expect(text).toContain('"content":"x"');
    expect(text).not.toContain('[DONE]');
    expect(error.code).toBe('upstream_error');
  });

  it('the server keeps the connection open after [DONE]: the reply is complete all the same', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';
    const event = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n';
    let closed = false;
    const url = await rawServer((socket) => {
      socket.once('data', (request) => {
        if (!request.toString().startsWith('POST')) return void socket.end();
        socket.write(`${head}${event}data: [DONE]\n\n`);
        socket.once('close', () => {
          closed = true;
        });
      });
    });
    expect(await receive(reach(url))).toContain('[DONE]');
    await expect.poll(() => closed, { timeout: 5_000 }).toBe(true);
  });

  it.each([
    ['nothing more', ''],
    ['half of [DONE]', 'data: [DONE]\n'],
  ])(
    'the server says %s once all has come: the reply is complete, and its connection ends',
    async (_, more) => {
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';
      const event = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n';
      const usage = 'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1}}\n\n';
      let closed = false;
      const url = await rawUpstream((socket) => {
        socket.write(`${head}${event}${usage}${more}`);
        socket.once('close', () => {
          closed = true;
        });
      });
      const connected = reach(url);
      expect(await receive(connected, ask({ includeUsage: true }))).toBe(`${event}${usage}data: [DONE]\n\n`);
      await expect.poll(() => closed).toBe(true);
      await expectIdle(connected);
      expect(connected.upstream.health().state).toBe('ready');
    },
  );

  it('every event says that it is the last: the reply goes on for as long as content comes', async () => {
    const event = (word: string) =>
      `data: {"choices":[{"index":0,"delta":{"content":"${word}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":1}}\n\n`;
    const url = await rawUpstream(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n');
      for (const word of 'abcd') {
        socket.write(event(word));
        await sleep(500);
      }
      // It says neither [DONE] nor anything else of interest.
      for (let i = 0; i < 20 && !socket.destroyed; i += 1) {
        socket.write(': still here\n\n');
        await sleep(500);
      }
    });
    expect(await receive(reach(url), ask({ includeUsage: true }))).toBe(
      `${[...'abcd'].map(event).join('')}data: [DONE]\n\n`,
    );
  });

  it('the connection breaks once all has come: the reply is complete', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    const event =
      'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":1}}\n\n';
    const chunk = `${event.length.toString(16)}\r\n${event}\r\n`;
    const url = await rawUpstream((socket) => socket.end(`${head}${chunk}`));
    expect(await receive(reach(url), ask({ includeUsage: true }))).toBe(`${event}data: [DONE]\n\n`);
  });

  it('the connection breaks before the usage has come: the reply is complete, unless its client asked for that', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    const event = 'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n';
    const url = await rawUpstream((socket) =>
      socket.end(`${head}${event.length.toString(16)}\r\n${event}\r\n`),
    );
    expect(await receive(reach(url))).toBe(`${event}data: [DONE]\n\n`);
    expect((await broken(reach(url), ask({ includeUsage: true }))).error.code).toBe('upstream_error');
  });
});

describe('the client leaves', () => {
  const phases = [
    ['before anything is sent', {}, 'at once'],
    ['before the headers', { headerDelayMs: 60_000 }, 'seen'],
    ['before the first event', { stallAfterEvents: 0 }, 'seen'],
    ['before a whole reply', { ttftMs: 60_000 }, 'whole'],
  ] as const;

  it.each(phases)('%s: the upstream is told at once', async (_name, behaviour, when) => {
    const connected = await connect(behaviour);
    const leaving = new AbortController();
    const failed = failureOf(connected.relay(ask({ stream: when !== 'whole' }), leaving.signal));
    if (when !== 'at once') await expect.poll(() => connected.fake.inFlight()).toBe(1);
    leaving.abort();
    expect((await failed).code).toBe('client_closed');
    expect(connected.upstream.health().inFlight).toBe(0);
    await expect.poll(() => connected.fake.inFlight(), { timeout: 5_000 }).toBe(0);
    if (when !== 'at once') expect(connected.fake.requests[0]?.aborted).toBe(true);
  });

  it('in the middle, also when it has stopped reading', async () => {
    for (const full of [false, true]) {
      const connected = await connect({ itlMs: 1, tokens: 5_000 });
      const leaving = new AbortController();
      const reply = await connected.relay(ask(), leaving.signal);
      let writes = 0;
      const sink: RelaySink = {
        write() {
          writes += 1;
          return !full;
        },
        drained: () => new Promise(() => {}),
      };
      const failed = failureOf(reply.pump(sink));
      await expect.poll(() => writes).toBeGreaterThan(0);
      leaving.abort();
      expect((await failed).code).toBe('client_closed');
      expect(connected.upstream.health().inFlight).toBe(0);
      await expect.poll(() => connected.fake.inFlight(), { timeout: 5_000 }).toBe(0);
    }
  });

  it('after the reply has begun, but before it is pumped', async () => {
    const connected = await connect({ itlMs: 1, tokens: 5_000 });
    const leaving = new AbortController();
    const reply = await connected.relay(ask(), leaving.signal);
    leaving.abort();
    await expectIdle(connected);
    expect((await failureOf(reply.pump(new Collector()))).code).toBe('client_closed');
  });

  it('while the connection is being made', async () => {
    const connected = reach(await unanswering(), { timeouts: { connectMs: 60_000 } });
    const leaving = new AbortController();
    const failed = failureOf(connected.relay(ask(), leaving.signal));
    await sleep(20);
    leaving.abort();
    expect((await failed).code).toBe('client_closed');
    expect(connected.upstream.health().inFlight).toBe(0);
  });
});

/** An address whose connections hang: the accept queue of a stopped process is full. */
async function unanswering(): Promise<string> {
  const { child, port, url } = await spawnFake({}, ['--backlog', '1']);
  child.kill('SIGSTOP');
  // Linux answers no further SYN once the queue overflows.
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < 20; i += 1) {
    const socket = dial(port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    await Promise.race([once(socket, 'connect'), sleep(300)]);
    // Where this process stood still, the timer comes before what is known of the socket.
    await sleep(0);
    if (socket.connecting) return url;
  }
  throw new Error('the accept queue does not fill up');
}

describe('a slow reader', () => {
  it('slows the upstream down instead of filling our memory, and loses nothing', async () => {
    const connected = await connect({ tokens: 150_000 });
    const reply = await connected.relay();
    let drain = () => {};
    const writes: Buffer[] = [];
    let open = false;
    const sink: RelaySink = {
      write(chunk) {
        writes.push(Buffer.from(chunk));
        return open;
      },
      drained: () => new Promise((resolve) => (drain = resolve)),
    };
    const pumped = reply.pump(sink);
    const sent = () => connected.fake.requests[0]?.sentBytes ?? 0;
    let before: number;
    do {
      before = sent();
      await sleep(200);
    } while (sent() > before);
    expect(before).toBeGreaterThan(0);
    expect(sent()).toBeLessThan(10_000_000);
    expect(Buffer.concat(writes).length).toBeLessThan(1_000_000);
    open = true;
    drain();
    await pumped;
    const text = Buffer.concat(writes).toString();
    expect(text.match(/data: /g)?.length).toBe(150_002);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    await expectIdle(connected);
  });

  it('is not taken for a silent upstream', async () => {
    const connected = await connect({ tokens: 50_000 }, { timeouts: { firstByteMs: 5_000, idleMs: 1_000 } });
    const sink = new Collector();
    const reply = await connected.relay();
    await sleep(1_200);
    await reply.pump({
      write(chunk) {
        sink.write(chunk);
        return sink.writes.length > 1;
      },
      drained: () => sleep(1_200),
    });
    expect(sink.text).toContain('[DONE]');
  });
});

describe('the process of the upstream', () => {
  async function streaming(fake: FakeProcess, timeouts: Partial<UpstreamTimeouts> = {}) {
    const connected = reach(fake.url, { timeouts });
    const sink = new Collector();
    const reply = await connected.relay();
    const failed = failureOf(reply.pump(sink));
    await expect.poll(() => sink.text).toContain('word2');
    return { connected, failed };
  }

  it('is killed in the middle of a stream', async () => {
    const fake = await spawnFake({ itlMs: 5, tokens: 5_000 });
    const { connected, failed } = await streaming(fake);
    fake.child.kill('SIGKILL');
    const killedAtMs = performance.now();
    expect((await failed).code).toBe('upstream_error');
    // Long before the end that it would have come to.
    expect(performance.now() - killedAtMs).toBeLessThan(5_000);
    await expectIdle(connected);
  });

  it('is killed before the first byte', async () => {
    const fake = await spawnFake({ headerDelayMs: 60_000 });
    const connected = reach(fake.url);
    const failed = failureOf(connected.relay());
    await sleep(50);
    fake.child.kill('SIGKILL');
    expect((await failed).retryable).toBe(true);
    await expectIdle(connected);
  });

  it('is stopped: silence is noticed before and after the first byte', async () => {
    const fake = await spawnFake({ itlMs: 5, tokens: 5_000 });
    const { connected, failed } = await streaming(fake, { firstByteMs: 1_000, idleMs: 1_000 });
    fake.child.kill('SIGSTOP');
    expect((await failed).code).toBe('upstream_timeout');
    expect(await failureOf(connected.relay())).toMatchObject({ code: 'upstream_timeout', retryable: true });
    await expectIdle(connected);
    fake.child.kill('SIGCONT');
  });

  it('is stopped while a whole reply is awaited: unanswered probes tell it from one that is busy', async () => {
    const fake = await spawnFake({ headerDelayMs: 60_000 });
    const connected = reach(fake.url, {
      timeouts: { firstByteMs: 300 },
      probe: { intervalMs: 50, timeoutMs: 2_000 },
    });
    const failed = failureOf(connected.relay(ask({ stream: false })));
    await sleep(600);
    expect(connected.upstream.health()).toMatchObject({ state: 'ready', inFlight: 1 });
    fake.child.kill('SIGSTOP');
    expect(await failed).toMatchObject({ code: 'upstream_timeout', retryable: true });
    await expectIdle(connected);
    fake.child.kill('SIGCONT');
  });

  it('comes back while a probe is under way: what was sent after that is not given up with it', async () => {
    let isBack = false;
    const probed = Promise.withResolvers<void>();
    const sized = (body: string) =>
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const startedAtMs = performance.now();
    const url = await rawServer((socket) => {
      socket.on('data', (bytes) => {
        const isProbe = bytes.toString('latin1', 0, 3) === 'GET';
        if (isProbe && isBack) socket.write(sized('{}'));
        else if (isProbe && performance.now() - startedAtMs > 300) probed.resolve();
        else if (!isProbe)
          setTimeout(() => socket.write(sized('{"choices":[{"message":{"content":"a"}}]}')), 700);
      });
    });
    const connected = reach(url, {
      timeouts: { firstByteMs: 200 },
      probe: { intervalMs: 50, timeoutMs: 500 },
    });
    await probed.promise;
    isBack = true;
    expect(await receive(connected, ask({ stream: false }))).toContain('"content":"a"');
    await expectIdle(connected);
  });

  it('finishes what it has, though it refuses probes for longer than a first byte may take', async () => {
    const fake = await spawnFake({ headerDelayMs: 1_200 }, ['--graceful']);
    const connected = reach(fake.url, {
      timeouts: { firstByteMs: 200 },
      probe: { intervalMs: 50, timeoutMs: 100 },
    });
    const reply = connected.relay(ask({ stream: false }));
    const state = async () => (await fetch(new URL('/__fake/state', fake.url))).json();
    await expect.poll(state).toMatchObject({ inFlight: 1 });
    fake.child.kill('SIGTERM');
    expect((await reply).status).toBe(200);
    expect(connected.upstream.health().state).toBe('down');
  });

  it.each(['others are answered', 'another reply flows'])(
    'is too busy for probes, but not hung: %s',
    async (sign) => {
      const reply = '{"choices":[{"message":{"content":"a"}}]}';
      const whole = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${reply.length}\r\n\r\n${reply}`;
      const timers: NodeJS.Timeout[] = [];
      onTestFinished(() => timers.forEach(clearInterval));
      let posts = 0;
      const connected = reach(
        await rawServer((socket) =>
          socket.on('data', (bytes) => {
            if (!bytes.toString('latin1').startsWith('POST')) return;
            posts += 1;
            if (posts === 1) timers.push(setTimeout(() => socket.write(whole), 1_200));
            else if (sign === 'others are answered') socket.write(whole);
            else {
              socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n');
              const event = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
              timers.push(setInterval(() => socket.write(event), 20));
            }
          }),
        ),
        { timeouts: { firstByteMs: 300 }, probe: { intervalMs: 50, timeoutMs: 100 } },
      );
      const slow = receive(connected, ask({ stream: false }));
      await expect.poll(() => posts).toBe(1);
      if (sign === 'others are answered')
        timers.push(setInterval(() => void receive(connected, ask({ stream: false })).catch(() => {}), 50));
      else void (await connected.relay()).pump(new Collector()).catch(() => {});
      expect(await slow).toBe(reply);
    },
  );

  it('does not take new connections', async () => {
    const connected = reach(await unanswering(), { timeouts: { connectMs: 300 } });
    expect(await failureOf(connected.relay())).toMatchObject({
      code: 'upstream_unreachable',
      retryable: true,
    });
  });
});

it('a connection that came about while this process stood still is one', async () => {
  const fake = await startFakeUpstream();
  onTestFinished(() => fake.close());
  const connected = reach(fake.url, { timeouts: { connectMs: 200 } });
  const text = receive(connected, ask({ stream: false }));
  // Right after the system was asked for it: the time is over before anything can be heard.
  process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500));
  expect(await text).toContain('word0');
});

it('an answer to a probe that came while this process stood still is one', async () => {
  const fake = await startFakeUpstream({ apiKey: 'right' });
  onTestFinished(() => fake.close());
  const connected = reach(fake.url, { apiKey: 'wrong', probe: { timeoutMs: 500 } });
  process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500));
  await expect.poll(() => connected.upstream.health().detail).toBeDefined();
  expect(connected.upstream.health()).toMatchObject({
    state: 'ready',
    detail: expect.stringContaining('401'),
  });
});

describe('health', () => {
  const changes = (events: readonly { type: string; healthy?: boolean }[]) =>
    events.flatMap((event) => (event.type === 'upstream-health-changed' ? [event.healthy] : []));

  it('an upstream that is not there yet is down, and ready soon after it came', async () => {
    const port = await freePort();
    const connected = reach(`http://127.0.0.1:${port}/v1`, { probe: { intervalMs: 50 } });
    await expect.poll(() => connected.upstream.health().state).toBe('down');
    expect(connected.upstream.health()).toMatchObject({ detail: expect.stringContaining('ECONNREFUSED') });
    const fake = await startFakeUpstream({ port });
    onTestFinished(() => fake.close());
    await expect.poll(() => connected.upstream.health().state, { timeout: 5_000 }).toBe('ready');
    expect(changes(connected.events)).toEqual([false, true]);
    expect(await receive(connected)).toContain('[DONE]');
  });

  it('five failures take it down; 4xx answers, 501 and clients that leave do not', async () => {
    const connected = await connect({ status: 500 }, { probe: { intervalMs: 60_000 } });
    for (let i = 0; i < 4; i += 1) await failureOf(connected.relay());
    connected.fake.setBehaviour({ status: 404 });
    for (let i = 0; i < 6; i += 1) await failureOf(connected.relay());
    connected.fake.setBehaviour({ status: 501 });
    for (let i = 0; i < 6; i += 1) await failureOf(connected.relay());
    connected.fake.setBehaviour({});
    const leaving = new AbortController();
    leaving.abort();
    for (let i = 0; i < 6; i += 1) await failureOf(connected.relay(ask(), leaving.signal));
    expect(connected.upstream.health().state).toBe('ready');
    connected.fake.setBehaviour({ status: 503 });
    await failureOf(connected.relay());
    expect(connected.upstream.health()).toMatchObject({ state: 'down', retryAfterMs: expect.any(Number) });
    expect(changes(connected.events)).toEqual([false]);
  });

  const TOO_LONG = {
    code: 400,
    message: 'the request exceeds the available context size',
    type: 'exceed_context_size_error',
  };
  const SSE_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
  const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n';
  it.each([
    ['in an event', true, `${SSE_HEAD}data: ${JSON.stringify({ error: TOO_LONG })}\n\n`],
    [
      'in an event that is named for it',
      true,
      `${SSE_HEAD}event: error\ndata: ${JSON.stringify(TOO_LONG)}\n\n`,
    ],
    ['in a line that is named for it', true, `${SSE_HEAD}error: ${JSON.stringify(TOO_LONG)}\n\n`],
    ['in place of a whole reply', false, JSON_HEAD + JSON.stringify({ error: TOO_LONG })],
    ['in place of a stream', true, JSON_HEAD + JSON.stringify({ error: TOO_LONG })],
  ])(
    'stays where it is, and clients hear it, when it refuses requests with status 200 (%s)',
    async (_name, stream, said) => {
      const connected = reach(await rawUpstream((socket) => socket.end(said)));
      for (let i = 0; i < 6; i += 1)
        expect(await failureOf(connected.relay(ask({ stream })))).toMatchObject({
          code: 'context_length_exceeded',
          status: 400,
          message: TOO_LONG.message,
          retryable: false,
        });
      expect(connected.upstream.health().state).toBe('ready');
      await expectIdle(connected);
    },
  );

  it('tells operators that its key is refused', async () => {
    const fake = await startFakeUpstream({ apiKey: 'right' });
    onTestFinished(() => fake.close());
    const connected = reach(fake.url, { apiKey: 'wrong' });
    await expect.poll(() => connected.upstream.health().detail).toContain('401');
    expect(connected.upstream.health().state).toBe('ready');
    expect((await failureOf(connected.relay())).code).toBe('upstream_refused');
  });

  it('closing ends what runs', async () => {
    const connected = await connect({ itlMs: 1, tokens: 5_000 });
    const failed = failureOf((await connected.relay()).pump(new Collector()));
    const waiting = await connect({ headerDelayMs: 60_000 });
    const failedToo = failureOf(waiting.relay());
    await connected.upstream.close();
    await waiting.upstream.close();
    expect((await failed).code).toBe('shutting_down');
    expect((await failedToo).code).toBe('shutting_down');
    expect((await failureOf(connected.relay())).code).toBe('model_unavailable');
    await expectIdle(connected);
  });
});
