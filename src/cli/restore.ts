import { databaseLocation } from '../store/location.ts';
import { restore } from '../store/restore.ts';
import { readConfig } from './read-config.ts';
import type { Environment } from './run.ts';
import { type DatabaseFlags, jsonText, refuse, refuseWhileGatewayRuns } from './with-database.ts';

/** `qianmen database restore FILE` */
export async function restoreDatabase(
  file: string,
  flags: DatabaseFlags,
  env: Environment,
  onProgress: (share: number) => void,
): Promise<void> {
  const config = readConfig(flags, env);
  const location = databaseLocation(config);
  if (location.kind === 'postgres')
    throw refuse('the database is on PostgreSQL, which has its own program for this: `pg_restore`');
  refuseWhileGatewayRuns(config);
  const aside = await restore(location.path, file, onProgress);
  const before = aside === undefined ? '' : ` What was there is ${aside} now.`;
  process.stdout.write(
    flags.json
      ? jsonText({ file, aside: aside ?? null })
      : `${location.path} is what ${file} holds.${before}\n`,
  );
}
