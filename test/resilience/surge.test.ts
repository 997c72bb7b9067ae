import { describe, expect, it, onTestFinished } from 'vitest';
import { Places } from '../../bench/fairness/server-model.ts';
import { VirtualTime } from '../../bench/fairness/virtual-time.ts';
import { leastInFlight } from '../../routers/least-in-flight.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Deployment } from '../../src/core/deployment.ts';
import type { Part } from '../../src/core/part.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import { seededRandom } from '../../src/simulation/random.ts';

/** What a modelled server does at once, of replies of half a second each. */
const PLACES = 16;
const TOKENS = 21;
const SERVER = { places: PLACES, ttftMs: 100, itlMs: 20, jitter: 0.1 };
const PER_SECOND = PLACES / 0.5;

interface Outcome {
  readonly askedAtMs: number;
  ttftMs?: number;
  doneAtMs?: number;
}

const request = {
  id: 'req_1',
  endpoint: 'chat',
  model: 'm',
  prompts: [{ kind: 'chat', messages: [] }],
  n: 1,
  stream: true,
  stop: { maxTokens: TOKENS },
  requirements: [],
  wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(800) },
} as unknown as GenerateRequest;

function backendOf(server: Places, name: string): Backend {
  return {
    name,
    kind: 'upstream',
    // As upstreams have it where nothing is configured.
    concurrency: { initial: 256, max: 512 },
    lacks: () => undefined,
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    close: async () => {},
    run: () =>
      new Promise((resolve) => {
        let ready = 0;
        let wake = () => {};
        async function* parts(): AsyncIterable<Part> {
          for (let sent = 0; sent < TOKENS; sent += 1) {
            while (ready <= sent)
              await new Promise<void>((go) => {
                wake = go;
              });
            yield { type: 'text-delta', index: 0, text: 'w', tokens: 1 };
          }
          yield { type: 'finish', index: 0, reason: 'stop' };
        }
        server.run(200, TOKENS, () => {
          ready += 1;
          if (ready === 1) resolve(parts());
          wake();
        });
      }),
  };
}

/** The gateway in simulated time, in front of modelled servers. */
function openSurge(servers: number) {
  const time = new VirtualTime();
  onTestFinished(time.take());
  const random = seededRandom(7);
  const deployments = Array.from({ length: servers }, (_, i): Deployment => {
    const backend = backendOf(new Places(time, random, SERVER), `b${i}`);
    return {
      ...{ id: `b${i}/m`, backend, model: 'm', region: undefined, privacy: 'local' },
      ...{ price: undefined, contextTokens: undefined },
    };
  });
  const model = { name: 'm', deployments, createdAtS: 0 };
  const gateway = new Gateway({
    routes: new Map([['m', { model, policy: leastInFlight() }]]),
    ...{ emit: () => {}, maxRetries: 0, now: time.now, random },
  });
  const outcomes: Outcome[] = [];
  const ask = async () => {
    const outcome: Outcome = { askedAtMs: time.now() };
    outcomes.push(outcome);
    const take = async (parts: AsyncIterable<Part>) => {
      for await (const part of parts)
        if (part.type === 'text-delta') outcome.ttftMs ??= time.now() - outcome.askedAtMs;
    };
    await gateway
      .handle(request, new AbortController().signal, (reply) =>
        reply.kind === 'parts' ? take(reply.parts) : undefined,
      )
      .then(
        () => {
          outcome.doneAtMs = time.now();
        },
        () => {},
      );
  };
  let fromMs = 0;
  /** So many times what the servers can do, at random times. */
  const send = async (times: number, forMs: number) => {
    const untilMs = fromMs + forMs;
    const next = () =>
      time.after((-Math.log(1 - random()) / (PER_SECOND * servers * times)) * 1_000, () => {
        if (time.now() > untilMs) return;
        void ask();
        next();
      });
    next();
    await time.run(untilMs);
    fromMs = untilMs;
  };
  return { gateway, outcomes, send, now: time.now };
}

describe('a surge that lasts, where nothing is configured', () => {
  it.each([1, 3])('costs no goodput and is over when it ends (%d servers)', async (servers) => {
    const { gateway, outcomes, send, now } = openSurge(servers);
    await send(0.5, 5_000);
    await send(1, 5_000);
    const beganAtMs = now();
    await send(5, 12_000);
    const endedAtMs = now();
    await send(0.5, 5_000);
    await send(0, 1_000);
    const done = outcomes.filter(
      ({ doneAtMs = 0 }) => doneAtMs > beganAtMs + 1_000 && doneAtMs < endedAtMs,
    ).length;
    expect(done / (11 * PER_SECOND * servers)).toBeGreaterThan(0.95);
    // They were slow for what waited in them, which is no reason to leave one alone.
    expect(gateway.report().backends.map(({ ejections }) => ejections)).toEqual(Array(servers).fill(0));
    const afterwards = outcomes.filter(({ askedAtMs }) => askedAtMs > endedAtMs + 3_000);
    expect(afterwards.length).toBeGreaterThan(20);
    const late = afterwards.filter(({ ttftMs = Number.POSITIVE_INFINITY }) => ttftMs > 300);
    expect(late).toEqual([]);
  });

  it('makes a burst wait instead, though it is as large', async () => {
    const { gateway, outcomes, send } = openSurge(1);
    await send(1, 5_000);
    await send(5, 1_200);
    await send(0, 8_000);
    expect(outcomes.filter(({ doneAtMs }) => doneAtMs === undefined)).toEqual([]);
    expect(gateway.report().models[0]?.rejected).toEqual({ full: 0, timeout: 0, share: 0 });
  });
});
