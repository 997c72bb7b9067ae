import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { checkConfig } from '../../config/load.ts';
import type { RunningGateway } from '../../src/running-gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import type { Resolver, ServiceRecord } from '../../src/upstream/resolver.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { makeCertificate } from '../support/certificate.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody, eventually, postChat } from '../support/gateway-process.ts';

/** Answers as the test wants at the moment. */
class Names implements Resolver {
  hosts: Record<string, readonly string[]> = {};
  records: readonly ServiceRecord[] = [];
  failing = false;
  asked = 0;

  async addresses(host: string): Promise<readonly string[]> {
    this.asked++;
    const found = this.hosts[host];
    if (this.failing || found === undefined) throw new Error(`no such name ${host}`);
    return found;
  }

  async services(): Promise<readonly ServiceRecord[]> {
    if (this.failing) throw new Error('no answer');
    return this.records;
  }
}

let running: RunningGateway | undefined;
const fakes: FakeUpstream[] = [];

afterEach(async () => {
  await running?.close();
  running = undefined;
  await Promise.all(fakes.splice(0).map((fake) => fake.close()));
});

/** Two servers on two addresses with one port. */
async function startPair(): Promise<[FakeUpstream, FakeUpstream]> {
  const first = await startFakeUpstream({ host: '127.0.0.1' });
  const second = await startFakeUpstream({ host: '127.0.0.2', port: first.port });
  fakes.push(first, second);
  return [first, second];
}

async function start(names: Names, port: number, extra: object = {}): Promise<RunningGateway> {
  const config = checkConfig(
    {
      listen: { port: 0 },
      dataDir: newDataDir(),
      upstreams: [
        {
          name: 'fleet',
          url: `http://fleet.test:${port}/v1`,
          discovery: { type: 'dns', intervalMs: 50 },
          ...extra,
        },
      ],
      models: [
        { name: 'm', policy: 'round-robin', deployments: [{ upstream: 'fleet', model: 'fake-model' }] },
      ],
    },
    'test',
  );
  running = await startGateway(config, { logger: createLogger('silent'), resolver: names });
  return running;
}

async function ask({ url }: RunningGateway): Promise<number> {
  const reply = await postChat(url, chatBody('m'));
  await reply.text();
  return reply.status;
}

function memberNames(gateway: RunningGateway): string[] {
  return Object.keys(gateway.readiness().backends);
}

describe('discovery: dns', () => {
  it('makes every address a member with its own health; Host stays the name', async () => {
    const [one, two] = await startPair();
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.2', '127.0.0.1'] };
    const gateway = await start(names, one.port);
    expect(memberNames(gateway)).toEqual([`fleet@127.0.0.1:${one.port}`, `fleet@127.0.0.2:${one.port}`]);
    for (let i = 0; i < 8; i++) expect(await ask(gateway)).toBe(200);
    for (const fake of [one, two]) {
      expect(fake.requests).toHaveLength(4);
      expect(fake.requests[0]?.headers.host).toBe(`fleet.test:${one.port}`);
    }
    await two.close();
    fakes.splice(fakes.indexOf(two), 1);
    for (let i = 0; i < 20; i++) expect(await ask(gateway)).toBe(200);
    const states = () => Object.values(gateway.readiness().backends).map(({ state }) => state);
    await eventually('only the dead one is down', () => states().join() === 'ready,down');
  });

  it('tells clients nothing of where a member is', async () => {
    const [one] = await startPair();
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.1'] };
    const gateway = await start(names, one.port);
    const where = `127.0.0.1:${one.port}`;
    one.setBehaviour({
      status: 400,
      errorBody: { error: { message: `too hot for http://${where}/v1, or ${where}` } },
    });
    const reply = await postChat(gateway.url, chatBody('m'));
    expect(reply.status).toBe(400);
    const { message } = ((await reply.json()) as { error: { message: string } }).error;
    expect(message).toMatch(/^too hot for /);
    expect(message).not.toContain('127.0.0.1');
    expect(message).not.toContain(String(one.port));
  });

  it('lets a member that vanishes finish its streams, and uses one that appears', async () => {
    const [one, two] = await startPair();
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.1'] };
    const gateway = await start(names, one.port);
    one.setBehaviour({ holdAfterEvents: 4 });
    const stream = await postChat(gateway.url, chatBody('m', { stream: true }));
    names.hosts = { 'fleet.test': ['127.0.0.2'] };
    await eventually('the change is seen', () => memberNames(gateway)[0] === `fleet@127.0.0.2:${one.port}`);
    expect(one.inFlight()).toBe(1);
    const admin = async () => (await fetch(`${gateway.url}/admin/upstreams/fleet`)).json();
    const leaving = { name: `fleet@127.0.0.1:${one.port}`, entry: 'fleet', leaving: true };
    expect(await admin()).toMatchObject({ upstreams: [{ leaving: false }, leaving] });
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    expect(two.requests).toHaveLength(4);
    one.release();
    expect((await stream.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
    const closed = async () => !JSON.stringify(await admin()).includes(leaving.name);
    await eventually('the old member is closed', closed);
  });

  it('fails no request while members come and go', async () => {
    const [one, two] = await startPair();
    const names = new Names();
    const sets = [['127.0.0.1'], ['127.0.0.1', '127.0.0.2'], ['127.0.0.2'], []];
    names.hosts = { 'fleet.test': ['127.0.0.1'] };
    const gateway = await start(names, one.port, { discovery: { type: 'dns', intervalMs: 20 } });
    for (const fake of [one, two]) fake.setBehaviour({ ttftMs: 30 });
    let open = true;
    const statuses: number[] = [];
    const client = async () => {
      while (open) statuses.push(await ask(gateway));
    };
    const clients = Promise.all([client(), client(), client()]);
    for (let i = 0; i < 24; i++) {
      names.hosts = { 'fleet.test': sets[i % sets.length] ?? [] };
      const asked = names.asked;
      await eventually('it was asked again', () => names.asked > asked + 1);
    }
    open = false;
    await clients;
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(Math.min(one.requests.length, two.requests.length)).toBeGreaterThan(3);
  });

  it('keeps the members it knows while there is no answer, or an empty one', async () => {
    const [one] = await startPair();
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.1', '127.0.0.2'] };
    const gateway = await start(names, one.port);
    const before = memberNames(gateway);
    for (const breakIt of [() => (names.failing = true), () => (names.hosts = { 'fleet.test': [] })]) {
      names.failing = false;
      breakIt();
      const asked = names.asked;
      await eventually('it was asked twice more', () => names.asked > asked + 2);
      expect(memberNames(gateway)).toEqual(before);
      expect(await ask(gateway)).toBe(200);
    }
  });

  it('answers 503 until the name has an address, then serves', async () => {
    const [one] = await startPair();
    const names = new Names();
    const gateway = await start(names, one.port);
    expect(await ask(gateway)).toBe(503);
    expect(gateway.readiness().backends.fleet).toMatchObject({
      state: 'down',
      detail: 'no such name fleet.test',
    });
    names.hosts = { 'fleet.test': ['127.0.0.1'] };
    await eventually('it serves', async () => (await ask(gateway)) === 200);
  });

  it('drains one member, or all of them by the name of the upstream', async () => {
    const [one, two] = await startPair();
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.1', '127.0.0.2'] };
    const gateway = await start(names, one.port);
    const post = (path: string) =>
      fetch(`${gateway.url}/admin/upstreams/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
    await post(`fleet@127.0.0.1:${one.port}/drain`);
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    expect([one.requests.length, two.requests.length]).toEqual([0, 4]);
    await post('fleet/drain');
    expect(await ask(gateway)).toBe(503);
    await post(`fleet@127.0.0.1:${one.port}/undrain`);
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    expect([one.requests.length, two.requests.length]).toEqual([4, 4]);
    await post('fleet/undrain');
    for (let i = 0; i < 4; i++) expect(await ask(gateway)).toBe(200);
    expect(two.requests.length).toBe(6);
  });
});

describe('discovery: srv', () => {
  it('takes host and port from the records of the first priority', async () => {
    const one = await startFakeUpstream({ host: '127.0.0.1' });
    const two = await startFakeUpstream({ host: '127.0.0.2' });
    const spare = await startFakeUpstream();
    fakes.push(one, two, spare);
    const names = new Names();
    names.hosts = { 'one.test': ['127.0.0.1'], 'two.test': ['127.0.0.2'] };
    names.records = [
      { host: 'one.test', port: one.port, priority: 1 },
      { host: 'two.test', port: two.port, priority: 1 },
      { host: 'one.test', port: spare.port, priority: 2 },
    ];
    const gateway = await start(names, 80, { discovery: { type: 'srv', intervalMs: 50 } });
    for (let i = 0; i < 6; i++) expect(await ask(gateway)).toBe(200);
    expect([one, two, spare].map(({ requests }) => requests.length)).toEqual([3, 3, 0]);
    expect(one.requests[0]?.headers.host).toBe('fleet.test');
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-tls-'));
  const files = makeCertificate(folder, 'DNS:fleet.test');

  it.skipIf(files === undefined)('is asked for, and checked against, the name of the URL', async () => {
    const [key, cert] = [readFileSync(files!.key), readFileSync(files!.cert, 'utf8')];
    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, cert]);
    const seen: unknown[] = [];
    const server = createTlsServer({ key, cert }, (request, response) => {
      seen.push([(request.socket as TLSSocket & { servername: string }).servername, request.headers.host]);
      request.resume().on('end', () => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ object: 'chat.completion', choices: [{}], data: [] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    const names = new Names();
    names.hosts = { 'fleet.test': ['127.0.0.2'], 'other.test': ['127.0.0.2'] };
    try {
      const gateway = await start(names, port, { url: `https://fleet.test:${port}/v1` });
      expect(await ask(gateway)).toBe(200);
      expect(seen).toContainEqual(['fleet.test', `fleet.test:${port}`]);
      expect(seen.every((pair) => String(pair) === `fleet.test,fleet.test:${port}`)).toBe(true);
      await gateway.close();
      const wrong = await start(names, port, { url: `https://other.test:${port}/v1` });
      expect(await ask(wrong)).toBe(503);
    } finally {
      setDefaultCACertificates(trusted);
      server.closeAllConnections();
      server.close();
    }
  });
});
