import { spawnSync } from 'node:child_process';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from './fakes/openai-upstream.ts';
import { freePort } from './support/free-port.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  metric,
  postChat,
  startGatewayProcess,
} from './support/gateway-process.ts';
import { promtoolPath } from './tools/promtool.ts';

let gateway: GatewayProcess | undefined;
let fake: FakeUpstream | undefined;

afterEach(async () => {
  await gateway?.kill();
  await fake?.close();
  gateway = undefined;
  fake = undefined;
});

function configOf(fake: FakeUpstream, listen: object = {}, model = 'm') {
  return {
    listen: { workers: 2, ...listen },
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: model, deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  };
}

async function startWorkers(listen: object = {}) {
  fake = await startFakeUpstream();
  gateway = await startGatewayProcess(configOf(fake, listen));
  return { fake, gateway };
}

/** A chat over a connection of its own, so that workers take turns. Resolves to the status, 0 where there was no reply. */
function ask(gateway: GatewayProcess, model = 'm', path = '/v1/chat/completions', body = chatBody(model)) {
  const { promise, resolve } = Promise.withResolvers<number>();
  const outgoing = request(
    `${gateway.url}${path}`,
    { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } },
    (reply: IncomingMessage) => {
      reply.resume();
      reply.on('end', () => resolve(reply.complete ? (reply.statusCode ?? 0) : 0));
      reply.on('error', () => resolve(0));
    },
  );
  outgoing.on('error', () => resolve(0));
  outgoing.end(body);
  return promise;
}

describe('workers', () => {
  it('share a port and the work; metrics are those of all, wherever they are asked for', async () => {
    const { gateway, fake } = await startWorkers();
    expect(gateway.output()).toContain('"workers":2,"msg":"listening"');
    expect(gateway.output()).toMatch(/exact ones need `redis`/);
    expect(gateway.enginePids()).toHaveLength(2);
    for (let i = 0; i < 12; i++) expect(await ask(gateway)).toBe(200);
    // Each worker keeps its own connections.
    expect(fake.connections()).toBeGreaterThanOrEqual(2);
    for (let i = 0; i < 4; i++) {
      expect(await metric(gateway.url, 'qianmen_requests_total')).toBe(12);
      expect(await metric(gateway.url, 'qianmen_workers')).toBe(2);
      expect(await metric(gateway.url, 'qianmen_backend_up')).toBe(1);
    }
  });

  it.skipIf(promtoolPath() === undefined)('have metrics that pass promtool', async () => {
    const { gateway } = await startWorkers();
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    const input = await (await fetch(`${gateway.url}/metrics`)).text();
    const { status, stdout, stderr } = spawnSync(promtoolPath() as string, ['check', 'metrics'], {
      input,
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  });

  it('lose only what the dead one was doing; it is replaced, ever later, and nothing counted is lost', async () => {
    const { gateway, fake } = await startWorkers();
    for (let i = 0; i < 8; i++) expect(await ask(gateway)).toBe(200);
    expect(await metric(gateway.url, 'qianmen_requests_total')).toBe(8);
    for (const [round, delay] of [200, 400].entries()) {
      const [victim] = gateway.enginePids();
      process.kill(victim as number, 'SIGKILL');
      await eventually('the loss is noticed', () => gateway.output().includes(`"restartMs":${delay}`));
      expect(await ask(gateway)).toBe(200);
      const replaced = () => gateway.output().match(/"msg":"worker replaced"/g)?.length === round + 1;
      await eventually('it is replaced', replaced, 20_000);
      expect(gateway.enginePids()).toHaveLength(2);
      expect(gateway.enginePids()).not.toContain(victim);
    }
    expect(await metric(gateway.url, 'qianmen_worker_restarts_total')).toBe(2);
    // Counted since the last scrape by a worker that died is unknown to everybody: only the two requests may be missing.
    expect(await metric(gateway.url, 'qianmen_requests_total')).toBeGreaterThanOrEqual(8);
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    expect(fake.requests).toHaveLength(14);
  });

  it('lose one that hangs, too: meanwhile others serve, and then what it was handed', async () => {
    const { gateway } = await startWorkers();
    const [victim] = gateway.enginePids();
    process.kill(victim as number, 'SIGSTOP');
    // At most one connection is handed to it; a later one finds the other.
    const handed = [ask(gateway), ask(gateway)];
    for (let i = 0; i < 6; i++) expect(await ask(gateway)).toBe(200);
    await eventually('it is given up', () => gateway.output().includes('said nothing any more'), 30_000);
    await eventually('it is replaced', () => gateway.output().includes('worker replaced'), 20_000);
    expect(gateway.enginePids()).not.toContain(victim);
    expect(await Promise.all(handed)).toEqual([200, 200]);
  });

  it('lose all at once: nobody waits for a reply that cannot come', async () => {
    fake = await startFakeUpstream();
    const config = configOf(fake, { port: await freePort() });
    gateway = await startGatewayProcess(config, { keepPort: true });
    const running = gateway;
    const victims = running.enginePids();
    for (const victim of victims) process.kill(victim, 'SIGSTOP');
    const handed = [ask(running), ask(running), ask(running)];
    await sleep(300);
    for (const victim of victims) process.kill(victim, 'SIGKILL');
    expect(await Promise.all(handed)).toEqual([0, 0, 0]);
    await eventually('another one serves', async () => (await ask(running)) === 200, 20_000);
  });

  it('all drain on SIGTERM: no request fails, streams finish, exit code 0', async () => {
    const { gateway, fake } = await startWorkers({ drainDelayMs: 2_000 });
    fake.setBehaviour({ tokens: 40, itlMs: 20 });
    const streams = await Promise.all(
      Array.from({ length: 6 }, () => postChat(gateway.url, chatBody('m', { stream: true, max_tokens: 40 }))),
    );
    let open = true;
    const statuses: number[] = [];
    const client = async () => {
      while (open) statuses.push(await ask(gateway, 'm', undefined, chatBody('m', { max_tokens: 1 })));
    };
    const clients = Promise.all([client(), client(), client(), client()]);
    await eventually('there is load', () => statuses.length > 20);
    gateway.child.kill('SIGTERM');
    await eventually(
      'readyz says draining',
      async () => (await fetch(`${gateway.url}/readyz`)).status === 503,
    );
    const before = statuses.length;
    await eventually('requests are still taken', () => statuses.length > before + 4);
    // As a load balancer that has seen it.
    open = false;
    await clients;
    expect(new Set(statuses)).toEqual(new Set([200]));
    for (const stream of streams) expect((await stream.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await gateway.exited).toBe(0);
    expect(gateway.output()).toContain('"cut":0,"msg":"stopped"');
    expect(await ask(gateway)).toBe(0);
  });

  it('all drain once when the whole process group is signalled, as Ctrl-C does', async () => {
    const { gateway, fake } = await startWorkers();
    fake.setBehaviour({ tokens: 30, itlMs: 20 });
    const stream = await postChat(gateway.url, chatBody('m', { stream: true, max_tokens: 30 }));
    for (const pid of [...gateway.enginePids(), gateway.child.pid as number]) process.kill(pid, 'SIGINT');
    expect((await stream.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await gateway.exited).toBe(0);
  });

  it('all reload on SIGHUP, and keep the last good configuration, also those that start later', async () => {
    const { gateway, fake } = await startWorkers();
    gateway.reconfigure(configOf(fake, {}, 'renamed'));
    gateway.child.kill('SIGHUP');
    const everywhere = async (model: string, status: number) => {
      for (let i = 0; i < 4; i++) if ((await ask(gateway, model)) !== status) return false;
      return true;
    };
    await eventually('both know the new name', () => everywhere('renamed', 200));
    expect(await everywhere('m', 404)).toBe(true);

    gateway.rewrite('models: [');
    // Once each, or twice where the file was just being read again for what it held before.
    const refusals = () => gateway.output().match(/configuration refused/g)?.length ?? 0;
    await eventually('both have refused it', () => refusals() >= 2);
    expect(await metric(gateway.url, 'qianmen_config_last_reload_success')).toBe(0);
    const failures = () => metric(gateway.url, 'qianmen_config_reload_failures_total');
    await eventually('a refusal counts once for both', async () => (await failures()) === refusals() / 2);
    process.kill(gateway.enginePids()[0] as number, 'SIGKILL');
    await eventually('one is replaced', () => gateway.output().includes('worker replaced'), 20_000);
    expect(await everywhere('renamed', 200)).toBe(true);
  });

  it('all obey an order to drain an upstream, also those that start later', async () => {
    const { gateway } = await startWorkers();
    expect(await ask(gateway, '', '/admin/upstreams/fake/drain', '')).toBe(200);
    const refused = async () => {
      for (let i = 0; i < 4; i++) if ((await ask(gateway)) !== 503) return false;
      return true;
    };
    await eventually('all refuse', refused);
    process.kill(gateway.enginePids()[0] as number, 'SIGKILL');
    await eventually('one is replaced', () => gateway.output().includes('worker replaced'), 20_000);
    expect(await refused()).toBe(true);
  });

  it('end with the primary', async () => {
    const { gateway } = await startWorkers();
    const pids = gateway.enginePids();
    await gateway.kill();
    const alive = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    await eventually('no worker is left', () => !pids.some(alive));
  });
});

describe('workers that cannot be', () => {
  it('are refused beside engines, with what to do instead', async () => {
    const started = startGatewayProcess({
      listen: { workers: 2 },
      engines: [{ name: 'e', path: '/nowhere.gguf' }],
    });
    await expect(started).rejects.toThrow(/second gateway with one worker/);
  });

  it('end the start with the reason when the port is taken', async () => {
    const { fake } = await startWorkers();
    const port = Number(new URL(fake.url).port);
    await expect(startGatewayProcess(configOf(fake, { port }), { keepPort: true })).rejects.toThrow(
      /is taken/,
    );
  });
});
