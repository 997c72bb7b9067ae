import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../../config/schema.ts';
import { POSTGRES_URL } from '../../config/storage.ts';
import { backUp } from '../store/backup.ts';
import { copyToPostgres } from '../store/copy.ts';
import { openDatabase } from '../store/database.ts';
import { inspectDatabase } from '../store/inspect.ts';
import { type DatabaseLocation, databaseLocation, locationText } from '../store/location.ts';
import { readConfig } from './read-config.ts';
import { refusedRows } from './refused.ts';
import { restoreDatabase } from './restore.ts';
import type { Environment } from './run.ts';
import {
  type DatabaseFlags,
  jsonText,
  refuse,
  refuseWhileGatewayRuns,
  withDatabaseOptions,
} from './with-database.ts';

/** A table may be large, and sums go over all of it. */
const COPY_TIMEOUT_MS = 3_600_000;

/** `qianmen database …` */
export function addDatabaseCommands(program: Command, env: Environment): void {
  const database = program.command('database').description('back up, check and move the database');
  const locationOf = (flags: DatabaseFlags) => databaseLocation(readConfig(flags, env));

  const backingUp = database
    .command('backup')
    .description('copy a database of SQLite to a new file, also while it is in use')
    .argument('<file>');
  withDatabaseOptions(backingUp).action((file: string, flags) => backup(locationOf(flags), file, flags));

  const restoring = database
    .command('restore')
    .description(
      'put a backup in the place of a database of SQLite, which is kept aside; stop gateways first',
    )
    .argument('<file>');
  withDatabaseOptions(restoring).action((file: string, flags) => {
    const tell = tellNowAndThen();
    return restoreDatabase(file, flags, env, (share) => tell(`${Math.round(100 * share)} % copied`));
  });

  const checking = database
    .command('check')
    .description('read all of the database and say what is wrong with it');
  withDatabaseOptions(checking).action((flags) => check(locationOf(flags), flags));

  const refusing = database
    .command('refused')
    .description(
      'list rows of the ledger that the database has refused, or try them again; also while in use',
    )
    .option('--retry', 'bring them into the database, now that what was wrong is mended');
  withDatabaseOptions(refusing).action((flags) => refusedRows(flags, env));

  const copying = database
    .command('copy')
    .description('copy a database of SQLite to an empty one of PostgreSQL, and compare; stop gateways first')
    .requiredOption('--to <url>', 'postgres://…');
  withDatabaseOptions(copying).action((flags) =>
    copy(readConfig(flags, env), { kind: 'postgres', url: flags.to }, flags),
  );
}

async function backup(location: DatabaseLocation, file: string, { json }: DatabaseFlags): Promise<void> {
  if (location.kind === 'postgres')
    throw refuse('the database is on PostgreSQL, which has its own program for this: `pg_dump`');
  const tell = tellNowAndThen();
  await backUp(location.path, file, (share) => tell(`${Math.round(100 * share)} % copied`));
  process.stdout.write(json ? jsonText({ file }) : `${file} is a backup of ${location.path}, and whole.\n`);
}

/** Exit code 1 if something is wrong. */
async function check(location: DatabaseLocation, { json }: DatabaseFlags): Promise<void> {
  const { problems, summary } = await inspectDatabase(location);
  const text = problems.length === 0 ? 'nothing is wrong\n' : `${problems.join('\n')}\n`;
  process.stdout.write(json ? jsonText({ ok: problems.length === 0, problems }) : `${summary}: ${text}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

async function copy(
  config: Config,
  to: DatabaseLocation & { readonly kind: 'postgres' },
  { json }: DatabaseFlags,
): Promise<void> {
  const from = databaseLocation(config);
  if (from.kind === 'postgres') throw refuse('the database is on PostgreSQL already');
  if (!existsSync(from.path)) throw refuse(`there is no database ${from.path}`);
  if (!POSTGRES_URL.test(to.url)) throw refuse('`--to` must be a URL that begins with postgres://');
  refuseWhileGatewayRuns(config);
  const source = await openDatabase(from);
  try {
    const target = await openDatabase(to, { timeoutMs: COPY_TIMEOUT_MS });
    const tell = tellNowAndThen();
    try {
      const tables = await copyToPostgres(source, target, (table, rows) => tell(`${table}: ${rows} rows`));
      const lines = tables.map(({ name, rows }) => `${name}: ${rows} rows\n`);
      const next = `All of it is in ${locationText(to)}, and the same. Name that as \`database\` in the configuration.\n`;
      process.stdout.write(json ? jsonText({ tables }) : `${lines.join('')}${next}`);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** On stderr, once a second. */
function tellNowAndThen(): (text: string) => void {
  let toldAtMs = performance.now();
  return (text) => {
    if (performance.now() - toldAtMs < 1000) return;
    toldAtMs = performance.now();
    process.stderr.write(`${text}\n`);
  };
}
