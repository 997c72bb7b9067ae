import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import { realModelPath } from './model-file.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  metric,
  postChat,
  startGatewayProcess,
} from './support/gateway-process.ts';
import { promtoolPath } from './tools/promtool.ts';

let gateway: GatewayProcess;
let fake: FakeUpstream;

beforeAll(async () => {
  fake = await startFakeUpstream();
  gateway = await startGatewayProcess({
    engines: [{ name: 'smol', path: realModelPath(), threads: 1, slots: 4 }],
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'm', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  });
  const ready = async () => (await metric(gateway.url, 'qianmen_backend_up')) === 2;
  await eventually('both backends are up', ready, 60_000);
  for (const model of ['smol', 'm']) {
    for (const stream of [true, false]) {
      await (
        await postChat(gateway.url, chatBody(model, { stream, max_tokens: 5, ignore_eos: true }))
      ).text();
    }
  }
  await postChat(gateway.url, chatBody('no-such-model'));
  await postChat(gateway.url, 'not json');
});

afterAll(async () => {
  await gateway?.kill();
  await fake?.close();
});

async function scrape(): Promise<string> {
  return (await fetch(`${gateway.url}/metrics`)).text();
}

describe('/metrics', () => {
  it.skipIf(promtoolPath() === undefined)('passes promtool', async () => {
    const { status, stdout, stderr } = spawnSync(promtoolPath() as string, ['check', 'metrics'], {
      input: await scrape(),
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  });

  it('counts requests by model and outcome, with no name that a client invented', async () => {
    const text = await scrape();
    expect(text).toContain('qianmen_requests_total{model="smol",endpoint="chat",outcome="ok",code="ok"} 2');
    expect(text).toContain('qianmen_requests_total{model="m",endpoint="chat",outcome="ok",code="ok"} 2');
    expect(text).toContain('code="model_not_found"} 1');
    expect(text).toContain('qianmen_requests_refused_total{code="invalid_json"} 1');
    expect(text).not.toContain('no-such-model');
  });

  it.each([
    'qianmen_tokens_total',
    'qianmen_time_to_first_token_seconds_count',
    'qianmen_time_per_output_token_seconds_count',
    'gen_ai_server_time_to_first_token_seconds_count',
    'qianmen_request_duration_seconds_count',
    'qianmen_engine_batch_size_count',
    'qianmen_engine_prefill_tokens_total',
    'qianmen_engine_prefix_cache_bytes',
    'qianmen_backend_attempts_total',
    'nodejs_eventloop_lag_seconds',
  ])('has samples of %s', async (name) => {
    await eventually(`${name} is there`, async () => (await metric(gateway.url, name)) > 0, 3_000);
  });

  it('has no name of its own that the page of metrics does not tell', async () => {
    const page = readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8');
    const names = [...(await scrape()).matchAll(/^# TYPE (qianmen_\w+) /gm)].map(
      ([, name]) => name as string,
    );
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !page.includes(`\`${name}`))).toEqual([]);
  });

  it('returns every gauge of work to zero', async () => {
    expect(await metric(gateway.url, 'qianmen_requests_in_flight')).toBe(0);
    expect(await metric(gateway.url, 'qianmen_backend_requests_in_flight')).toBe(0);
    expect(await metric(gateway.url, 'qianmen_backend_queue_length')).toBe(0);
  });
});
