import { join } from 'node:path';
import { isExposed } from '../config/listen.ts';
import type { Config } from '../config/schema.ts';
import { Authenticator } from './access/authenticator.ts';
import type { KeyNews } from './access/key-news.ts';
import { tenantAdmin } from './access/tenant-admin.ts';
import { createAdmission, type RunningAdmission } from './admission/create-admission.ts';
import type { TenantAdmin } from './api/admin/tenant-admin.ts';
import type { UsageReader } from './api/usage-reader.ts';
import { AppError } from './core/error.ts';
import type { Emit } from './core/event.ts';
import { hasBudget } from './gateway/ask.ts';
import type { Admission } from './gateway/request/admission.ts';
import { Ledger } from './ledger/ledger.ts';
import { LedgerReader } from './ledger/ledger-reader.ts';
import { PastSpending } from './past-spending.ts';
import { SpentBudgets } from './spent-budgets.ts';
import { ApiKeys } from './store/api-keys.ts';
import { asking } from './store/asking.ts';
import { findCaller } from './store/callers.ts';
import { endedSince } from './store/ended.ts';
import { LateDatabase } from './store/late-database.ts';
import { type DatabaseLocation, databaseLocation, locationText } from './store/location.ts';
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
  /** There is no room to record what anybody uses, or the database has not been reached yet and no key is known. */
  admitsNobody(): boolean;
  /** Why something does not work as configured; empty: all does. */
  problems(): readonly string[];
  /** What has been opened. */
  readonly database: DatabaseLocation;
  close(): Promise<void>;
}

export interface TenancyOptions {
  readonly config: Config;
  /** What other processes of this machine have opened. Default: what the configuration says. */
  readonly database?: DatabaseLocation | undefined;
  readonly logger: Logger;
  readonly emit: Emit;
  /** What other processes of this machine have read of keys so far. */
  readonly keyNews?: readonly KeyNews[] | undefined;
  readonly onKeyNews?: ((news: KeyNews) => void) | undefined;
}

interface Closable {
  close(): Promise<void> | void;
}

/** @throws Error that says what is wrong with the database, where it is a file, or with the configuration */
export async function openTenancy(options: TenancyOptions): Promise<Tenancy> {
  const { config, logger, emit } = options;
  const database = new LateDatabase(options.database ?? databaseLocation(config));
  const parts: Closable[] = [];
  const opened = <P extends Closable>(part: P): P => {
    parts.push(part);
    return part;
  };
  const close = async () => {
    await Promise.all(parts.map((part) => part.close()));
    // The others may need it to the last.
    await database.close();
  };
  try {
    await database.start();
    const { location } = database;
    const ledger = opened(ledgerOf(config, location, logger));
    const reader = opened(new LedgerReader(location));
    const admission = opened(admissionOf(config, logger));
    const past = new PastSpending({ database, ledger, reader });
    const budgets = opened(new SpentBudgets({ config, logger, emit, database, past, admission }));
    const door = opened(doorOf(options, database, () => budgets.databaseIsBack()));
    await door.start();
    await budgets.start(door);
    return {
      door,
      admission: accountable(admission, ledger, budgets),
      observe(event) {
        ledger.observe(event);
        budgets.observe(event);
      },
      accounts: () => ({
        ledgerBacklogBytes: ledger.backlogBytes,
        ledgerUp: ledger.problem === undefined,
        ledgerBrokenWrites: ledger.losses.broken,
        ledgerRefusedRows: ledger.losses.refused,
        sharedLimitsUp: admission.problem() === undefined,
      }),
      admitsNobody: () => door.knowsNobody || (ledger.isFull && door.keysNeeded),
      problems: () => problemsOf(door, ledger, admission),
      tenantAdmin: tenantAdmin(
        () => database.get(),
        () => door.refresh(),
      ),
      usage: { usage: (query) => asking(() => reader.usage(query)) },
      database: location,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function ledgerOf(config: Config, location: DatabaseLocation, logger: Logger): Ledger {
  return new Ledger({
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
}

function admissionOf({ redis, listen, limits }: Config, logger: Logger): RunningAdmission {
  return createAdmission({
    ...(redis === null ? {} : { redisUrl: redis }),
    share: 1 / (listen.workers * limits.replicas),
    onProblem(problem) {
      if (problem === undefined) logger.info('limits are counted together again');
      else logger.error({ problem }, 'limits are not counted together: each gateway gives out its share');
    },
  });
}

/** @param onBack The database answers again. */
function doorOf(options: TenancyOptions, database: LateDatabase, onBack: () => void): Authenticator {
  const { config, logger, keyNews, onKeyNews } = options;
  const where = { database: locationText(databaseLocation(config)) };
  const door = new Authenticator({
    directory: {
      find: async (hash, nowMs) => findCaller(database.get(), hash, nowMs),
      endedSince: async (sinceMs) => endedSince(database.get(), sinceMs),
      revision: async () => keyRevision(database.get()),
      anyKeys: async () => new ApiKeys(database.get()).any(),
    },
    alwaysNeeded: isExposed(config.listen),
    ttlMs: config.keys.ttlMs,
    ...(onKeyNews === undefined ? {} : { onNews: onKeyNews }),
    onProblem(problem) {
      if (problem === undefined) {
        logger.info(where, 'keys can be checked again');
        onBack();
      } else
        logger.error(
          { ...where, err: problem },
          'keys cannot be checked: those that are known are served on for a while, others get 503',
        );
    },
  });
  for (const news of keyNews ?? []) door.hear(news);
  return door;
}

/** Nothing is given away that could not be recorded, and nothing of a budget while nobody knows what is left of it. */
function accountable(admission: Admission, ledger: Ledger, budgets: SpentBudgets): Admission {
  return {
    admit(ask) {
      if (ledger.isFull)
        throw new AppError('overloaded', {
          message: 'Usage cannot be recorded at the moment; try again later.',
        });
      if (!budgets.areKnown && hasBudget(ask))
        throw new AppError('keys_unavailable', {
          message: 'Budgets cannot be checked at the moment; try again later.',
        });
      return admission.admit(ask);
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
