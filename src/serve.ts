import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isExposed } from '../config/listen.ts';
import { nothingServed } from '../config/nothing-served.ts';
import type { Config } from '../config/schema.ts';
import { RoutingKnowledge } from '../routers/routing-knowledge.ts';
import type { CanaryAdmin } from './api/admin/canary-routes.ts';
import { upstreamReport } from './api/admin/upstream-report.ts';
import type { UpstreamAdmin } from './api/admin/upstream-routes.ts';
import { createApp } from './app.ts';
import { makeFolder } from './core/make-folder.ts';
import { DecisionFile } from './decisions/decision-file.ts';
import { RecentDecisions } from './decisions/recent-decisions.ts';
import { EventFanOut } from './event-fan-out.ts';
import { Fleet } from './fleet/fleet.ts';
import { forgetRestarted } from './fleet/forget-restarted.ts';
import { FleetModelAdmin } from './fleet/model-admin.ts';
import { Reloader } from './fleet/reloader.ts';
import { HttpFront } from './front/http-front.ts';
import { Gateway } from './gateway/gateway.ts';
import { GatewayStatus } from './gateway-status.ts';
import { patternDetector } from './privacy/detector.ts';
import type { RunningGateway, StartOptions } from './running-gateway.ts';
import { createLogger, type Logger, logEvents } from './telemetry/log.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';
import { openTenancy, type Tenancy } from './tenancy.ts';

/** So long may it take to tell clients that their requests are cut off. */
const LAST_WORDS_MS = 1_000;

/** @throws Error if the address cannot be bound, or is not loopback although nobody needs a key. */
export async function startGateway(config: Config, options: StartOptions = {}): Promise<RunningGateway> {
  const logger = options.logger ?? createLogger(config.log.level);
  makeFolder(config.dataDir);
  const events = new EventFanOut((err, event) =>
    logger.error({ err, event: event.type }, 'an event was not taken down'),
  );
  const { database, keyNews, onKeyNews } = options;
  const tenancy = await openTenancy({ config, database, logger, emit: events.emit, keyNews, onKeyNews });
  events.addRecorder(tenancy.observe);
  events.add(logEvents(logger));
  try {
    if (tenancy.door.noKeys) refuseOpenDoor(config);
    tellOfShares(config, tenancy.door.keysNeeded, logger);
    const remedy = nothingServed(config);
    if (remedy !== undefined) logger.warn(`nothing is served: ${remedy}`);
    return await startWith(config, options, { logger, events, tenancy });
  } catch (error) {
    await tenancy.close();
    throw error;
  }
}

/** What exists before anything is served. */
interface Surroundings {
  readonly logger: Logger;
  readonly events: EventFanOut;
  readonly tenancy: Tenancy;
}

async function startWith(
  config: Config,
  options: StartOptions,
  { logger, events, tenancy }: Surroundings,
): Promise<RunningGateway> {
  const knowledge = new RoutingKnowledge();
  const { admission, door, tenantAdmin, usage } = tenancy;
  const { emit } = events;
  const gateway = new Gateway({
    routes: new Map(),
    emit,
    knowledge,
    admission,
    ...gatewayLimits(config),
  });
  const fleet = new Fleet({
    emit,
    graphDir: join(config.dataDir, 'graphs'),
    knowledge,
    onRoutes: (routes) => gateway.configure({ routes }),
    ...(options.resolver === undefined ? {} : { resolver: options.resolver }),
  });
  const admin = adminOf(fleet, gateway, options);
  const modelAdmin = new FleetModelAdmin(fleet, options.fetchModel);

  const status = new GatewayStatus(gateway, fleet, tenancy);
  const metrics = metricsOf(fleet, gateway, modelAdmin, tenancy);
  const decisions = new RecentDecisions(config.decisions.keep);
  const decisionFile = config.decisions.log ? openDecisionFile(config, logger) : undefined;
  let ended = 0;
  events.add(
    status.observe,
    metrics.observe,
    decisions.observe,
    forgetRestarted(knowledge, () => gateway.models()),
    ...(decisionFile === undefined ? [] : [decisionFile.observe]),
    (event) => {
      if (event.type === 'request-settled' || event.type === 'request-refused') ended += 1;
      else if (event.type === 'canary-rolled-back') options.onCanaryRolledBack?.(event);
    },
  );
  await fleet.apply(config, options.modelPaths ?? new Map());
  for (const { name, drained } of options.drains ?? []) fleet.setDrained(name, drained);

  const readiness = () => status.readiness();
  const front = new HttpFront(config, (current) =>
    createApp({
      ...appSettings(current),
      gateway,
      decisions,
      draining: () => status.draining,
      door,
      emit,
      admin,
      modelAdmin,
      tenantAdmin,
      usage,
      readiness,
      metrics: options.scrape ?? metrics.scrape,
    }),
  );
  const reloader = new Reloader({
    initial: config,
    emit,
    async apply({ config: next, modelPaths }) {
      const changes = await fleet.apply(next, modelPaths);
      gateway.configure(gatewayLimits(next));
      decisions.resize(next.decisions.keep);
      if (next.log.level !== reloader.current.log.level) logger.level = next.log.level;
      front.configure(next);
      return changes;
    },
  });
  try {
    await front.listen((err) => logger.error({ err }, 'a connection was not accepted'));
  } catch (error) {
    await fleet.close();
    throw error;
  }

  const end = async () => {
    await front.end();
    await fleet.close();
    events.flush();
    await decisionFile?.close();
    await tenancy.close();
  };

  return {
    url: front.url,
    database: tenancy.database,
    gateway,
    ended: () => ended,
    enginesSettled: fleet.enginesSettled(),
    readiness,
    snapshot: metrics.snapshot,
    upstreams: admin.upstreams,
    setDrained: (name, drained) => void fleet.setDrained(name, drained),
    hearOfKeys: (news) => door.hear(news),
    reload: (load) => reloader.reload(load),
    async drain() {
      status.drainingBegins();
      gateway.stopShadows();
      const { drainDelayMs, drainTimeoutMs } = reloader.current.listen;
      await delay(drainDelayMs);
      const cut = (await front.drain(drainTimeoutMs)) ? 0 : gateway.inFlight;
      if (cut > 0) await Promise.all([fleet.close(), front.drain(LAST_WORDS_MS)]);
      await end();
      return cut;
    },
    async close() {
      status.drainingBegins();
      gateway.stopShadows();
      await end();
    },
  };
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

function metricsOf(fleet: Fleet, gateway: Gateway, modelAdmin: FleetModelAdmin, tenancy: Tenancy): Metrics {
  return createMetrics({
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

function appSettings({ listen, limits, region, decisions: { routeHeader } }: Config) {
  return {
    maxBodyBytes: listen.maxBodyBytes,
    heartbeatMs: listen.heartbeatMs,
    region,
    routeHeader,
    limits: { n: limits.maxChoices, topLogprobs: limits.maxTopLogprobs },
    corsOrigins: listen.cors.origins,
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
