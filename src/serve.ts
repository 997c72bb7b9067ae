import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { type Config, engineName } from '../config/schema.ts';
import type { Readiness } from './api/operations.ts';
import { createApp } from './app.ts';
import type { Deployment } from './core/deployment.ts';
import type { GatewayEvent } from './core/event.ts';
import { createEngine } from './engines.ts';
import { Gateway } from './gateway/gateway.ts';
import { createHttpServer, listen } from './http-server.ts';
import { buildRoutes } from './routes.ts';
import { createLogger, type Logger, logEvents } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createUpstream } from './upstream/upstream.ts';

export interface StartOptions {
  readonly logger?: Logger;
  /** Where each engine's model file, or its directory, lies, by engine name. Engines configured with `path` need no entry. */
  readonly modelPaths?: ReadonlyMap<string, string>;
}

export interface RunningGateway {
  /** Base URL, such as http://127.0.0.1:8080 */
  readonly url: string;
  readonly gateway: Gateway;
  /** Resolves when every engine is ready or has failed for the first time. */
  readonly enginesSettled: Promise<void>;
  readiness(): Readiness;
  /** Lets running requests finish within the configured time, then ends everything. Resolves to the number it cut off. */
  drain(): Promise<number>;
  /** Ends at once. */
  close(): Promise<void>;
}

/** @throws Error if the address cannot be bound, or is not loopback although nobody needs a key. */
export async function startGateway(config: Config, options: StartOptions = {}): Promise<RunningGateway> {
  refuseOpenDoor(config);
  const logger = options.logger ?? createLogger(config.log.level);
  const sinks: ((event: GatewayEvent) => void)[] = [logEvents(logger)];
  const emit = (event: GatewayEvent) => {
    for (const sink of sinks) sink(event);
  };

  const engines = config.engines.map((engine) => {
    const name = engineName(engine);
    const modelPath = engine.path ?? options.modelPaths?.get(name);
    if (modelPath === undefined) throw new Error(`no model file for engine ${name}`);
    return createEngine(engine, modelPath, emit);
  });
  const upstreams = config.upstreams.map(({ apiKey, region, ...upstream }) =>
    createUpstream({
      ...upstream,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(region === undefined ? {} : { region }),
      emit,
    }),
  );
  const backends: Deployment['backend'][] = [...engines, ...upstreams];

  const gateway = new Gateway({
    routes: buildRoutes(config, engines, upstreams),
    emit,
    maxRetries: config.limits.maxRetries,
  });
  const metrics = createMetrics({ backends, inFlight: () => gateway.inFlight });
  sinks.push(metrics.observe);

  let draining = false;
  const readiness = (): Readiness => ({
    draining,
    ready: gateway.models().some((m) => m.deployments.some((d) => d.backend.health().state === 'ready')),
    backends: Object.fromEntries(backends.map((b) => [b.name, b.health()])),
  });
  const app = createApp({
    gateway,
    maxBodyBytes: config.listen.maxBodyBytes,
    heartbeatMs: config.listen.heartbeatMs,
    limits: { n: config.limits.maxChoices, topLogprobs: config.limits.maxTopLogprobs },
    corsOrigins: config.listen.cors.origins,
    draining: () => draining,
    emit,
    readiness,
    metrics: metrics.scrape,
  });
  const server = createHttpServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }), config);
  const closeBackends = () => Promise.all(backends.map((backend) => backend.close()));
  try {
    await listen(server, config);
  } catch (error) {
    await closeBackends();
    throw error;
  }

  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    gateway,
    enginesSettled: Promise.allSettled(engines.map((engine) => engine.ready)).then(() => undefined),
    readiness,
    async drain() {
      draining = true;
      await delay(config.listen.drainDelayMs);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const deadline = performance.now() + config.listen.drainTimeoutMs;
      while (gateway.inFlight > 0 && performance.now() < deadline) {
        server.closeIdleConnections();
        await delay(25);
      }
      const cut = gateway.inFlight;
      if (cut > 0) server.closeAllConnections();
      // What is settled may still be on its way through a socket.
      for (let i = 0; i < 40; i++) {
        server.closeIdleConnections();
        const done = await Promise.race([closed.then(() => true), delay(25).then(() => false)]);
        if (done) break;
      }
      server.closeAllConnections();
      await closed;
      await closeBackends();
      return cut;
    },
    async close() {
      draining = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await Promise.all([closed, closeBackends()]);
    },
  };
}

function refuseOpenDoor({ listen: { host, allowUnauthenticated } }: Config): void {
  const loopback = host === 'localhost' || host === '::1' || /^127\./.test(host);
  if (loopback || allowUnauthenticated) return;
  throw new Error(
    `Refusing to listen on ${host}: no API keys are configured, so anybody who reaches it could use every model. ` +
      'Listen on 127.0.0.1, or set listen.allowUnauthenticated: true if something in front checks who calls.',
  );
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
