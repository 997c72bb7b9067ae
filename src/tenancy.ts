import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { Authenticator } from './access/authenticator.ts';
import { tenantAdmin } from './access/tenant-admin.ts';
import { LocalAdmission } from './admission/local-admission.ts';
import type { TenantAdmin } from './api/admin/tenant-admin.ts';
import type { UsageReader } from './api/usage-reader.ts';
import { AppError } from './core/error.ts';
import type { Admission } from './gateway/admission.ts';
import { Ledger } from './ledger/ledger.ts';
import { usage } from './ledger/usage.ts';
import { ApiKeys } from './store/api-keys.ts';
import { asking } from './store/asking.ts';
import { findCaller } from './store/callers.ts';
import { LateDatabase } from './store/late-database.ts';
import { databaseLocation, locationText } from './store/location.ts';
import { keyRevision } from './store/revision.ts';
import type { Logger } from './telemetry/log.ts';

/** Who may use the gateway, how much, and what it costs. */
export interface Tenancy {
  readonly door: Authenticator;
  readonly admission: Admission;
  readonly ledger: Ledger;
  readonly tenantAdmin: TenantAdmin;
  readonly usage: UsageReader;
  close(): Promise<void>;
}

export interface TenancyOptions {
  readonly config: Config;
  readonly logger: Logger;
}

/** @throws Error that says what is wrong with the database, where it is a file */
export async function openTenancy({ config, logger }: TenancyOptions): Promise<Tenancy> {
  const location = databaseLocation(config);
  const database = new LateDatabase(location);
  await database.start();
  const door = new Authenticator({
    directory: {
      find: async (hash, nowMs) => findCaller(database.get(), hash, nowMs),
      revision: async () => keyRevision(database.get()),
      anyKeys: async () => new ApiKeys(database.get()).any(),
    },
    ttlMs: config.keys.ttlMs,
    onProblem(problem) {
      const where = { database: locationText(location) };
      if (problem === undefined) logger.info(where, 'keys can be checked again');
      else
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
    maxBytes: config.budgets.journalBytes,
    onProblem(problem) {
      if (problem === undefined) logger.info('the ledger reaches its database again');
      else logger.error({ problem }, 'the ledger does not reach its database: its journal grows');
    },
  });
  const limits = new LocalAdmission({ share: 1 / (config.listen.workers * config.limits.replicas) });
  return {
    door,
    admission: recorded(limits, ledger),
    ledger,
    tenantAdmin: tenantAdmin(
      () => database.get(),
      () => door.refresh(),
    ),
    usage: { usage: (query) => asking(() => usage(database.get(), query)) },
    async close() {
      door.close();
      await ledger.close();
      await database.close();
    },
  };
}

/** Nothing is given away that could not be written down. */
function recorded(admission: Admission, ledger: Ledger): Admission {
  return {
    admit(ask) {
      if (!ledger.isFull) return admission.admit(ask);
      throw new AppError('overloaded', {
        message: 'Usage cannot be recorded at the moment; try again later.',
      });
    },
  };
}
