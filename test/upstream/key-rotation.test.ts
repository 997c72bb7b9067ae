import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import { startGateway } from '../../src/serve.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody, eventually, postChat } from '../support/gateway-process.ts';

const OLD = 'sk-old-0123456789';
const NEXT = 'sk-next-0123456789';

const event = (content: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const REPLY = JSON.stringify({
  choices: [{ index: 0, message: { role: 'assistant', content: 'whole' }, finish_reason: 'stop' }],
});

/** Refuses all keys but one, and, as some do, says which it refuses. Its streams end when they are told to. */
interface KeyedServer {
  readonly url: string;
  goodKey: string;
  /** The keys of its requests, oldest first. */
  readonly asked: string[];
  finishStreams(): void;
}

async function keyedServer(goodKey: string, refusal = 401): Promise<KeyedServer> {
  const streams = new Set<ServerResponse>();
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const key = (request.headers.authorization ?? '').replace('Bearer ', '');
    let body = '';
    for await (const piece of request) body += piece;
    if (request.method === 'POST') asked.push(key);
    if (key !== keyed.goodKey) {
      response.writeHead(refusal, { 'content-type': 'application/json', 'x-refused': key });
      response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${key}.` } }));
    } else if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json').end('{"data":[{"id":"fake-model"}]}');
    } else if (JSON.parse(body).stream) {
      response.setHeader('content-type', 'text/event-stream').write(event('begun'));
      streams.add(response);
    } else {
      response.setHeader('content-type', 'application/json').end(REPLY);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const keyed = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    goodKey,
    asked,
    finishStreams() {
      for (const stream of streams) stream.end(`${event(' ended', 'stop')}data: [DONE]\n\n`);
    },
  };
  return keyed;
}

/** One model at these servers, with a key for each. */
function serving(dataDir: string, upstreams: readonly [KeyedServer, string][]) {
  const named = upstreams.map(([{ url }, apiKey], i) => ({ name: `up-${i}`, url, apiKey }));
  const deployments = named.map(({ name }) => ({ upstream: name, model: 'fake-model' }));
  return configSchema.parse({
    dataDir,
    listen: { port: 0 },
    upstreams: named,
    models: [{ name: 'm', policy: 'round-robin', deployments }],
  });
}

async function serve(...upstreams: readonly [KeyedServer, string][]) {
  const dataDir = newDataDir();
  let log = '';
  const logger = createLogger('debug', {
    write: (line) => {
      log += line;
    },
  });
  const running = await startGateway(serving(dataDir, upstreams), { logger });
  onTestFinished(() => running.close());
  return {
    log: () => log,
    ask: (stream: boolean) => postChat(running.url, chatBody('m', { stream })),
    rotate: (...next: readonly [KeyedServer, string][]) =>
      running.reload(async () => ({ config: serving(dataDir, next), modelPaths: new Map() })),
    detail: () => running.readiness().backends['up-0']?.detail,
    /** Everything that anybody can read of it, but its configuration. */
    async told() {
      const pages = ['/readyz', '/metrics', '/admin/upstreams', '/v1/models'];
      const texts = await Promise.all(
        pages.map(async (page) => (await fetch(`${running.url}${page}`)).text()),
      );
      return [log, ...texts].join('\n');
    },
  };
}

describe('a new API key for an upstream', () => {
  it('is used by new requests, while a stream that began with the old one comes to its end', async () => {
    const server = await keyedServer(OLD);
    const gateway = await serve([server, OLD]);
    const old = await gateway.ask(true);
    server.goodKey = NEXT;
    expect(await gateway.rotate([server, NEXT])).toBe(true);
    const reply = await gateway.ask(false);
    expect(reply.status).toBe(200);
    await reply.text();
    expect(server.asked).toEqual([OLD, NEXT]);
    server.finishStreams();
    expect(await old.text()).toMatch(/begun.*\n\ndata: .* ended.*\n\ndata: \[DONE\]\n\n$/s);
    expect(server.asked).toEqual([OLD, NEXT]);
    expect(await gateway.told()).not.toMatch(/sk-(old|next)/);
  });

  it('ends at once what the refusals of the old one had brought about', async () => {
    const server = await keyedServer(NEXT);
    const gateway = await serve([server, OLD]);
    await eventually('the probe is refused', () => gateway.detail()?.includes('401') === true);
    expect((await gateway.ask(false)).status).toBe(502);
    await gateway.rotate([server, NEXT]);
    expect(gateway.detail()).toBeUndefined();
    expect((await gateway.ask(false)).status).toBe(200);
  });
});

describe.each([401, 403])('a key that its server no longer takes (%s)', (status) => {
  it.each([false, true])('is the gateway’s fault, and shown to nobody (stream: %s)', async (stream) => {
    const server = await keyedServer(NEXT, status);
    const gateway = await serve([server, OLD]);
    const reply = await gateway.ask(stream);
    expect(reply.status).toBe(502);
    const body = await reply.text();
    expect(JSON.parse(body).error).toMatchObject({ code: 'upstream_refused', type: 'server_error' });
    expect(body + JSON.stringify([...reply.headers])).not.toContain(OLD);
    await eventually('the probe is refused', () => gateway.detail()?.includes(String(status)) === true);
    const told = await gateway.told();
    expect(told).toContain(`HTTP ${status}: {`);
    expect(told).toContain('Incorrect API key provided: …');
    expect(told).not.toContain(OLD);
  });

  it('leaves the requests to another server, which is asked first for a while', async () => {
    const [revoked, good] = [await keyedServer(NEXT, status), await keyedServer(NEXT)];
    const gateway = await serve([revoked, OLD], [good, NEXT]);
    for (let i = 0; i < 6; i += 1) {
      const reply = await gateway.ask(false);
      expect(reply.status).toBe(200);
      await reply.text();
    }
    expect([revoked.asked.length, good.asked.length]).toEqual([1, 6]);
  });
});
