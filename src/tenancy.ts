import { join } from 'node:path';
import { isExposed } from '../config/listen.ts';
import type { Config } from '../config/schema.ts';
import { Authenticator } from './access/authenticator.ts';
import { tenantAdmin } from './access/tenant-admin.ts';
import { createAdmission, type RunningAdmission } from './admission/create-admission.ts';
import type { TenantAdmin } from './api/admin/tenant-admin.ts';
import type { UsageReader } from './api/usage-reader.ts';
import { AppError } from './core/error.ts';
import type { Emit } from './core/event.ts';
import type { Admission } from './gateway/admission.ts';
import { hasBudget } from './gateway/ask.ts';
import { AlarmWebhook } from './ledger/alarm-webhook.ts';
import { BudgetAlarms } from './ledger/budget-alarms.ts';
import { Ledger } from './ledger/ledger.ts';
import { LedgerReader } from './ledger/ledger-reader.ts';
import { type SpentTotals, spentTotals } from './ledger/spent.ts';
import { SpentWatch } from './ledger/spent-watch.ts';
import { ApiKeys } from './store/api-keys.ts';
import { asking } from './store/asking.ts';
import { findCaller } from './store/callers.ts';
import { LateDatabase } from './store/late-database.ts';
import { databaseLocation, locationText } from './store/location.ts';
import { keyRevision } from './store/revision.ts';
import type { Logger } from './telemetry/log.ts';
import type { Accounts } from './telemetry/money-metrics.ts';

/** Who may use the gateway, how much, and what it costs. */
export interface Tenancy {
  readonly door: Authenticator;
  readonly admission: Admission;
  readonly tenantAdmin: TenantAdmin;
  readonly usage: UsageReader;
  /** To be told everything. */
  readonly observe: Emit;
  accounts(): Accounts;
  /** There is no room to record what anybody uses, so nobody is admitted. */
  admitsNobody(): boolean;
  /** Why something does not work as configured; empty: all does. */
  problems(): readonly string[];
  close(): Promise<void>;
}

export interface TenancyOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly emit: Emit;
}

/** How often what was settled elsewhere is read, where several gateways spend from one budget. */
const TOTALS_MS = 5_000;
/** A gateway that spends alone keeps count itself, and looks only for what it could not know. */
const OWN_TOTALS_MS = 300_000;
/** The start waits no longer than this for a database or a Redis that does not answer … */
const START_MS = 3_000;
/** … and for what was spent before where the database does, on a machine that has much to do: whoever has a budget is not served until it is known. */
const SPENT_MS = 20_000;

/** Without keys nobody's usage is recorded. */
const NOTHING_SPENT: SpentTotals = {
  key: new Map(),
  project: new Map(),
  organization: new Map(),
  model: new Map(),
};

/** @throws Error that says what is wrong with the database, where it is a file */
export async function openTenancy({ config, logger, emit }: TenancyOptions): Promise<Tenancy> {
  const location = databaseLocation(config);
  const database = new LateDatabase(location);
  await database.start();
  const door = new Authenticator({
    directory: {
      find: async (hash, nowMs) => findCaller(database.get(), hash, nowMs),
      revision: async () => keyRevision(database.get()),
      anyKeys: async () => new ApiKeys(database.get()).any(),
    },
    alwaysNeeded: isExposed(config.listen),
    ttlMs: config.keys.ttlMs,
    onProblem(problem) {
      const where = { database: locationText(location) };
      if (problem === undefined) {
        logger.info(where, 'keys can be checked again');
        if (spent.latest === undefined) void spent.look();
      } else
        logger.error(
          { ...where, err: problem },
          'keys cannot be checked: those that are known are served on for a while, others get 503',
        );
    },
  });
  await door.start();
  const ledger = new Ledger({
    location,
    dir: join(config.dataDir, 'ledger'),
    maxBytes: config.budgets.journalBytes / config.listen.workers,
    onProblem(problem) {
      if (problem === undefined) logger.info('the ledger reaches its database again');
      else logger.error({ problem }, 'usage does not reach the database; it is kept meanwhile');
    },
    onLosses: (losses) =>
      logger.error(losses, 'usage is in no sum: the database refuses rows, or a journal is damaged'),
  });
  let takenOver = ledger.flush();
  let serving = false;
  const reader = new LedgerReader(location);
  const gateways = config.listen.workers * config.limits.replicas;
  const admission = createAdmission({
    ...(config.redis === null ? {} : { redisUrl: config.redis }),
    share: 1 / gateways,
    onProblem(problem) {
      if (problem === undefined) logger.info('limits are counted together again');
      else logger.error({ problem }, 'limits are not counted together: each gateway gives out its share');
    },
  });
  const webhook = config.budgets.webhook && webhookOf(config.budgets.webhook, logger);
  const alarms = new BudgetAlarms({
    database: () => database.get(),
    totals: async (nowMs) => spent.latestOf(nowMs) ?? NOTHING_SPENT,
    shares: config.budgets.alarmAt,
    async onAlarm(alarm) {
      const { subject, subjectId, period, share, budgetNanoUsd, spentNanoUsd } = alarm;
      const raised = { subject, subjectId, period, share, budgetNanoUsd, spentNanoUsd };
      emit({ type: 'budget-alarm-raised', ...raised });
      return webhook === undefined || (await webhook.send(alarm));
    },
  });
  const spent = new SpentWatch({
    async read(atMs) {
      if (door.noKeys) return NOTHING_SPENT;
      // What a killed process had written down is spent, too.
      const problem = await takenOver;
      if (problem !== undefined) {
        takenOver = ledger.flush();
        throw new Error(problem);
      }
      // Until somebody is served nobody is held up, and no thread need be started.
      return await (serving ? reader.spentTotals(atMs) : spentTotals(database.get(), atMs));
    },
    nowMs: () => admission.nowMs(),
    onSpent(totals, atMs) {
      admission.refreshSpent(totals, atMs);
      void alarms.refresh();
    },
    onProblem(problem) {
      if (problem === undefined) logger.info('what was spent before is known');
      else logger.error({ problem }, 'what was spent before cannot be read: whoever has a budget gets 503');
    },
    everyMs: gateways > 1 || config.redis !== null ? TOTALS_MS : OWN_TOTALS_MS,
  });
  await Promise.race([Promise.all([spent.look(), admission.ready]), delay(START_MS)]);
  await spent.untilKnown(() => door.problem === undefined, SPENT_MS);
  serving = true;
  return {
    door,
    admission: accountable(admission, ledger, spent),
    observe(event) {
      ledger.observe(event);
      alarms.observe(event);
    },
    accounts: () => ({
      ledgerBacklogBytes: ledger.backlogBytes,
      ledgerUp: ledger.problem === undefined,
      ledgerBrokenWrites: ledger.losses.broken,
      ledgerRefusedRows: ledger.losses.refused,
      sharedLimitsUp: admission.problem() === undefined,
    }),
    admitsNobody: () => ledger.isFull && door.keysNeeded,
    problems: () => problemsOf(door, ledger, admission),
    tenantAdmin: tenantAdmin(
      () => database.get(),
      () => door.refresh(),
    ),
    usage: { usage: (query) => asking(() => reader.usage(query)) },
    async close() {
      door.close();
      spent.close();
      webhook?.close();
      await Promise.all([ledger.close(), alarms.close(), admission.close(), reader.close()]);
      await database.close();
    },
  };
}

function problemsOf(door: Authenticator, ledger: Ledger, admission: RunningAdmission): readonly string[] {
  const keys = door.problem === undefined ? undefined : 'API keys cannot be checked';
  const rows = ledger.problem === undefined ? undefined : 'the ledger does not reach its database';
  const { broken, refusedPath } = ledger.losses;
  const losses =
    broken === 0 && refusedPath === undefined ? undefined : 'there is usage that is in no sum, see the log';
  const limits = admission.problem() === undefined ? undefined : 'limits are not counted together';
  return [keys, rows, losses, limits].filter((problem) => problem !== undefined);
}

function webhookOf(
  settings: { readonly url: string; readonly secret: string },
  logger: Logger,
): AlarmWebhook {
  return new AlarmWebhook({
    ...settings,
    onGivenUp: ({ subject, subjectId, period, share }, reason) =>
      logger.error(
        { subject, subjectId, period, share, reason },
        'an alarm could not be brought to the webhook',
      ),
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Nothing is given away that could not be recorded, and nothing of a budget while nobody knows what is left of it. */
function accountable(admission: Admission, ledger: Ledger, spent: SpentWatch): Admission {
  return {
    admit(ask) {
      if (ledger.isFull)
        throw new AppError('overloaded', {
          message: 'Usage cannot be recorded at the moment; try again later.',
        });
      if (spent.latest === undefined && hasBudget(ask))
        throw new AppError('keys_unavailable', {
          message: 'Budgets cannot be checked at the moment; try again later.',
        });
      return admission.admit(ask);
    },
  };
}
