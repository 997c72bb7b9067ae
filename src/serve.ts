import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isExposed } from '../config/listen.ts';
import type { Config } from '../config/schema.ts';
import { RoutingKnowledge } from '../routers/routing-knowledge.ts';
import type { CanaryAdmin } from './api/admin/canary-routes.ts';
import { upstreamReport } from './api/admin/upstream-report.ts';
import type { UpstreamAdmin } from './api/admin/upstream-routes.ts';
import type { Readiness } from './api/operations.ts';
import { createApp } from './app.ts';
import type { PublicModel } from './core/deployment.ts';
import type { Emit, GatewayEvent } from './core/event.ts';
import { DecisionFile } from './decisions/decision-file.ts';
import { RecentDecisions } from './decisions/recent-decisions.ts';
import { Fleet } from './fleet/fleet.ts';
import { forgetRestarted } from './fleet/forget-restarted.ts';
import { FleetModelAdmin } from './fleet/model-admin.ts';
import { Reloader } from './fleet/reloader.ts';
import { Drain } from './front/drain.ts';
import { createHttpServer, limitTimes, listen } from './front/http-server.ts';
import { Gateway } from './gateway/gateway.ts';
import { patternDetector } from './privacy/detector.ts';
import type { RunningGateway, StartOptions } from './running-gateway.ts';
import { createLogger, type Logger, logEvents } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { openTenancy, type Tenancy } from './tenancy.ts';

/** @throws Error if the address cannot be bound, or is not loopback although nobody needs a key. */
export async function startGateway(config: Config, options: StartOptions = {}): Promise<RunningGateway> {
  const logger = options.logger ?? createLogger(config.log.level);
  mkdirSync(config.dataDir, { recursive: true });
  const sinks: Emit[] = [logEvents(logger)];
  const emit = (event: GatewayEvent) => {
    for (const sink of sinks) {
      try {
        sink(event);
      } catch (err) {
        logger.error({ err, event: event.type }, 'an event was not taken down');
      }
    }
  };
  const tenancy = await openTenancy({ config, logger, emit });
  sinks.push(tenancy.observe);
  try {
    if (tenancy.door.noKeys) refuseOpenDoor(config);
    tellOfShares(config, tenancy.door.keysNeeded, logger);
    return await startWith(config, options, { logger, sinks, emit, tenancy });
  } catch (error) {
    await tenancy.close();
    throw error;
  }
}

/** What exists before anything is served. */
interface Surroundings {
  readonly logger: Logger;
  /** Everybody who is told of every event. */
  readonly sinks: Emit[];
  readonly emit: Emit;
  readonly tenancy: Tenancy;
}

async function startWith(
  config: Config,
  options: StartOptions,
  { logger, sinks, emit, tenancy }: Surroundings,
): Promise<RunningGateway> {
  const knowledge = new RoutingKnowledge();
  const fleet = new Fleet({
    emit,
    graphDir: join(config.dataDir, 'graphs'),
    knowledge,
    onRoutes: (routes) => gateway.configure({ routes }),
    ...(options.resolver === undefined ? {} : { resolver: options.resolver }),
  });
  const { admission, door } = tenancy;
  const gateway = new Gateway({ routes: fleet.routes, emit, knowledge, admission, ...gatewayLimits(config) });
  const modelAdmin = new FleetModelAdmin(fleet, options.fetchModel);
  const metrics = createMetrics({
    backends: () => fleet.backends,
    leaving: () => fleet.leaving,
    inFlight: () => gateway.inFlight,
    report: () => gateway.report(),
    localMemory: () => ({
      budgetBytes: fleet.memory.limit.bytes,
      models: modelAdmin.models().map(({ name, memory }) => ({ name, ...memory })),
    }),
    accounts: () => tenancy.accounts(),
  });
  const decisions = new RecentDecisions(config.decisions.keep);
  sinks.push(
    metrics.observe,
    decisions.observe,
    forgetRestarted(knowledge, () => gateway.models()),
  );
  const decisionFile = config.decisions.log ? openDecisionFile(config, logger) : undefined;
  if (decisionFile) sinks.push(decisionFile.observe);
  let ended = 0;
  sinks.push((event) => {
    if (event.type === 'request-settled' || event.type === 'request-refused') ended += 1;
    else if (event.type === 'canary-rolled-back') options.onCanaryRolledBack?.(event);
  });
  await fleet.apply(config, options.modelPaths ?? new Map());
  for (const { name, drained } of options.drains ?? []) fleet.setDrained(name, drained);

  let draining = false;
  const reloader = new Reloader({
    initial: config,
    emit,
    async apply({ config, modelPaths }) {
      const changes = await fleet.apply(config, modelPaths);
      gateway.configure(gatewayLimits(config));
      decisions.resize(config.decisions.keep);
      if (config.log.level !== reloader.current.log.level) logger.level = config.log.level;
      limitTimes(server, config);
      app = appFor(config);
      return changes;
    },
  });
  const admin = adminOf(fleet, gateway, options);
  const readiness = (): Readiness => ({
    draining,
    ready: !tenancy.admitsNobody() && gateway.models().some(takesRequests),
    backends: Object.fromEntries(fleet.backends.map((b) => [b.name, b.health()])),
    ...(reloader.problem === undefined ? {} : { configProblem: reloader.problem }),
    accountProblems: tenancy.problems(),
  });
  const appFor = ({ listen, limits, region, decisions: { routeHeader } }: Config) =>
    createApp({
      gateway,
      maxBodyBytes: listen.maxBodyBytes,
      heartbeatMs: listen.heartbeatMs,
      region,
      routeHeader,
      decisions,
      limits: { n: limits.maxChoices, topLogprobs: limits.maxTopLogprobs },
      corsOrigins: listen.cors.origins,
      draining: () => draining,
      door,
      emit,
      admin,
      modelAdmin,
      tenantAdmin: tenancy.tenantAdmin,
      usage: tenancy.usage,
      readiness,
      metrics: options.scrape ?? metrics.scrape,
    });
  let app = appFor(config);
  const { server, plain } = createHttpServer(
    {
      takes: (path) => app.takes(path),
      answer: (path, incoming, client) => app.answer(path, incoming, client),
      serve: (incoming, outgoing) => app.serve(incoming, outgoing),
    },
    () => reloader.current,
  );
  const drain = new Drain(server, plain);
  try {
    await listen(server, config, (err) => logger.error({ err }, 'a connection was not accepted'));
  } catch (error) {
    await fleet.close();
    throw error;
  }

  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    gateway,
    ended: () => ended,
    enginesSettled: fleet.enginesSettled(),
    readiness,
    snapshot: metrics.snapshot,
    upstreams: admin.upstreams,
    setDrained: (name, drained) => void fleet.setDrained(name, drained),
    reload: (load) => reloader.reload(load),
    async drain() {
      draining = true;
      gateway.stopShadows();
      const { drainDelayMs, drainTimeoutMs } = reloader.current.listen;
      await delay(drainDelayMs);
      const cut = (await drain.run(drainTimeoutMs)) ? 0 : gateway.inFlight;
      await drain.end();
      await Promise.all([fleet.close(), decisionFile?.close()]);
      await tenancy.close();
      return cut;
    },
    async close() {
      draining = true;
      gateway.stopShadows();
      await Promise.all([drain.end(), fleet.close(), decisionFile?.close()]);
      await tenancy.close();
    },
  };
}

/** A model that is not in memory takes them, too: they wait for it. */
function takesRequests({ deployments }: PublicModel): boolean {
  return deployments.some(({ backend }) => ['ready', 'unloaded'].includes(backend.health().state));
}

/** What operators may do with upstreams and canaries. Where there are several processes, the others are told of it. */
function adminOf(fleet: Fleet, gateway: Gateway, options: StartOptions): UpstreamAdmin & CanaryAdmin {
  return {
    upstreams: () => upstreamReport(fleet.upstreams(), gateway.report()),
    ...(options.everywhere === undefined ? {} : { everywhere: options.everywhere }),
    canaries: () => gateway.report().canaries,
    resumeCanary(deployment) {
      const found = gateway.resumeCanary(deployment);
      if (found) options.onCanaryResumed?.(deployment);
      return found;
    },
    setDrained(name, drained) {
      const found = fleet.setDrained(name, drained);
      if (found) options.onDrained?.(name, drained);
      return found;
    },
  };
}

function gatewayLimits({ limits, privacy: { detect, media, whenFound } }: Config) {
  return {
    maxRetries: limits.maxRetries,
    queue: { capacity: limits.queueLength, maxWaitMs: limits.queueTimeoutMs },
    timeoutMs: limits.requestTimeoutMs,
    assumedOutputTokens: limits.assumedOutputTokens,
    privacy:
      detect.length === 0 && media === 'ignored'
        ? undefined
        : { detector: patternDetector(detect), mediaCount: media === 'found', whenFound },
  };
}

function openDecisionFile({ dataDir }: Config, logger: Logger): DecisionFile {
  const path = join(dataDir, 'decisions.jsonl');
  const onLost = (lost: number, cause: unknown) =>
    logger.error(
      { err: cause, path, lost },
      'decisions cannot be written and are lost; requests are served on',
    );
  return new DecisionFile({ path, onLost });
}

function refuseOpenDoor({ listen }: Config): void {
  if (!isExposed(listen)) return;
  throw new Error(
    `Refusing to listen on ${listen.host}: no API keys are configured, so anybody who reaches it could use every model. ` +
      'Make one with `qianmen key create`, listen on 127.0.0.1, or set listen.allowUnauthenticated: true if something in front checks who calls.',
  );
}

/** Limits that several are to keep together need a place where they count together. */
function tellOfShares({ listen, limits, redis }: Config, keysNeeded: boolean, logger: Logger): void {
  const gateways = listen.workers * limits.replicas;
  if (gateways === 1 || redis !== null || !keysNeeded) return;
  logger.warn(
    { gateways },
    'without `redis` every worker and every replica counts for itself, and gives out its share of each limit',
  );
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
