import type { Config } from '../../config/schema.ts';
import { inspectDatabase } from '../store/inspect.ts';
import { databaseLocation } from '../store/location.ts';
import type { Check } from './check.ts';

/** Reads all of it: keys, tenants and the ledger are worth the time. */
export async function checkDatabase(config: Pick<Config, 'database' | 'dataDir'>): Promise<Check> {
  const { problems, summary } = await inspectDatabase(databaseLocation(config));
  const common = { section: 'configuration', name: 'database' } as const;
  if (problems.length === 0) return { ...common, status: 'ok', detail: summary };
  const failed = { ...common, status: 'failed', detail: problems.join('\n') } as const;
  if (config.database !== 'sqlite') return failed;
  const fix =
    'If it is damaged: stop the gateway, and put a backup in its place with `qianmen database restore`.';
  return { ...failed, fix };
}
