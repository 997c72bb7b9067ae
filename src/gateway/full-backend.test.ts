import { expect, test } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import type { Backend } from '../core/backend.ts';
import { AppError, type AppErrorOptions, type ErrorCode } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { Gateway } from './gateway.ts';

const request = {
  ...{ id: 'r', endpoint: 'chat', model: 'm', prompts: [{ kind: 'chat', messages: [] }], n: 1, stream: true },
  ...{ stop: {}, requirements: [], wire: { dialect: 'openai', path: '/', body: Buffer.from('{}') } },
} as unknown as GenerateRequest;

async function* reply(): AsyncIterable<Part> {
  yield { type: 'text-delta', index: 0, text: 'word', tokens: 1 };
  yield { type: 'finish', index: 0, reason: 'stop' };
}

/** A backend of one place, which refuses whoever finds it taken. */
function gatewayOverOnePlace(code: ErrorCode, options?: AppErrorOptions) {
  const seen = { asked: 0, taken: false, end: () => {} };
  const run: Backend['run'] = async () => {
    seen.asked += 1;
    if (seen.taken) throw new AppError(code, options);
    seen.taken = true;
    await new Promise<void>((resolve) => {
      seen.end = resolve;
    });
    seen.taken = false;
    return reply();
  };
  const backend: Backend = {
    ...{ name: 'a', kind: 'upstream', run, lacks: () => undefined, close: async () => {} },
    health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
    concurrency: { initial: 16, max: 16 },
  };
  const deployment = {
    ...{ id: 'a/m', backend, model: 'm', region: undefined, privacy: 'local' as const },
    ...{ price: undefined, contextTokens: undefined },
  };
  const model = { name: 'm', deployments: [deployment], createdAtS: 0 };
  const gateway = new Gateway({
    routes: new Map([['m', { model, policy: roundRobin() }]]),
    emit: () => {},
    maxRetries: 2,
  });
  const ask = () =>
    gateway.handle(request, new AbortController().signal, async (reply) => {
      if (reply.kind === 'parts') for await (const _ of reply.parts);
    });
  return { ask, seen };
}

test.each([
  ['429', 'rate_limit_exceeded'],
  ['503', 'upstream_unreachable'],
] as const)(
  'one too many for a backend that answers others is served when one of those has left (%s)',
  async (_, code) => {
    const { ask, seen } = gatewayOverOnePlace(code);
    const first = ask();
    const second = ask();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen.asked).toBe(2);
    seen.end();
    await first;
    await expect.poll(() => seen.asked).toBe(3);
    seen.end();
    await second;
  },
);

test.each([
  ['that says when to come back', { retryAfterMs: 1_000 }],
  ['that was never reached', { nothingSent: true }],
])('it is refused by a backend %s', async (_, options) => {
  const { ask, seen } = gatewayOverOnePlace('upstream_unreachable', options);
  const first = ask();
  await expect(ask()).rejects.toMatchObject({ code: 'upstream_unreachable' });
  seen.end();
  await first;
});

test('nobody waits for room at a backend that has nobody inside', async () => {
  const { ask, seen } = gatewayOverOnePlace('upstream_unreachable');
  seen.taken = true;
  await expect(ask()).rejects.toMatchObject({ code: 'upstream_unreachable' });
  expect(seen.asked).toBe(1);
});
