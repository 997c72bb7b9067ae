import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUpstream } from '../../src/upstream/upstream.ts';
import { backendContract } from '../backend.contract.ts';
import { ask, Collector, expectIdle, failureOf, reach } from '../upstream/harness.ts';
import { startVllm, type VllmServer } from './vllm-server.ts';

const venv = process.env.QIANMEN_VLLM_VENV;
if (venv === undefined) {
  process.stderr.write(
    'QIANMEN_VLLM_VENV is not set (see test/real/install-vllm.sh): tests on a real vLLM are skipped.\n',
  );
}

describe.skipIf(venv === undefined)('a real vLLM', () => {
  let vllm: VllmServer;

  beforeAll(async () => {
    vllm = await startVllm(venv!);
  }, 310_000);
  afterAll(async () => {
    await vllm?.close();
  });

  const connect = (apiKey = vllm.apiKey) => {
    const { upstream } = reach(vllm.url, { apiKey, probe: { intervalMs: 200 } });
    return {
      upstream,
      relay: (body: object, signal = new AbortController().signal, model = vllm.model) => {
        const stream = 'stream' in body;
        const request = ask({
          stream,
          body: JSON.stringify({ model: 'public', messages, temperature: 0, ...body }),
        });
        return upstream.relay!(request, { model, signal });
      },
    };
  };
  const messages = [{ role: 'user', content: 'Tell me a long story about a lighthouse. '.repeat(30) }];

  it('streams through the relay, with the usage noted and hidden', async () => {
    const { relay } = connect();
    const sink = new Collector();
    const reply = await relay({ stream: true, max_tokens: 20, ignore_eos: true });
    await reply.pump(sink);
    expect(sink.text).not.toContain('"usage"');
    expect(sink.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(reply.observation).toMatchObject({ finishReasons: ['length'], usage: { completionTokens: 20 } });
    expect(reply.observation.contentEvents).toBeLessThanOrEqual(20);
    expect(reply.observation.contentEvents).toBeGreaterThan(10);

    const again = await relay({ max_tokens: 2 });
    await again.pump(new Collector());
    expect(again.observation.usage?.cachedPromptTokens).toBeGreaterThan(100);
  });

  it.each([true, false])('is told at once that the client left (stream: %s)', async (stream) => {
    const connected = connect();
    const leaving = new AbortController();
    const body = { max_tokens: 1_500, ignore_eos: true, ...(stream && { stream }) };
    const failed = failureOf(
      connected.relay(body, leaving.signal).then((reply) => reply.pump(new Collector())),
    );
    await expect.poll(() => vllm.running(), { timeout: 30_000 }).toBe(1);
    await sleep(200);
    leaving.abort();
    expect((await failed).code).toBe('client_closed');
    expect(connected.upstream.health().inFlight).toBe(0);
    // It stops after the step it is in: below 0.1 s on an idle machine, some seconds on a busy one; the rest of the
    // reply would take far longer.
    await expect.poll(() => vllm.running(), { timeout: 10_000, interval: 20 }).toBe(0);
    await expectIdle(connected);
  });

  it('has its refusals understood', async () => {
    const { relay, upstream } = connect();
    expect(await failureOf(relay({ temperature: -1 }))).toMatchObject({
      code: 'upstream_rejected',
      status: 400,
      param: 'temperature',
      retryable: false,
    });
    const long = [{ role: 'user', content: 'a b c '.repeat(3_000) }];
    expect((await failureOf(relay({ messages: long, stream: true }))).code).toBe('context_length_exceeded');
    const unknown = await failureOf(relay({}, new AbortController().signal, 'no-such-model'));
    expect(unknown).toMatchObject({ code: 'upstream_refused', retryable: true });
    expect(upstream.health()).toMatchObject({ state: 'ready', inFlight: 0 });
  });

  it('has a wrong key noticed', async () => {
    const { relay, upstream } = connect('sk-wrong');
    expect(await failureOf(relay({}))).toMatchObject({ code: 'upstream_refused', status: 502 });
    await expect.poll(() => upstream.health().detail).toContain('401');
  });

  backendContract('upstream at a real vLLM', async () => {
    const backend = createUpstream({ name: 'vllm', url: vllm.url, apiKey: vllm.apiKey, emit: () => {} });
    return { backend, model: vllm.model, close: () => backend.close() };
  });
});
