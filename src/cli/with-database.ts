import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { engineName } from '../../config/engine.ts';
import type { Config } from '../../config/schema.ts';
import { type Scope, unserved } from '../api/unserved.ts';
import { AppError } from '../core/error.ts';
import { isAnyHeld } from '../ledger/owner.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { databaseLocation } from '../store/location.ts';
import { explain } from '../store/problem.ts';
import { configFile, readConfig, type ServeFlags } from './read-config.ts';
import type { Environment } from './run.ts';

/** Which database a command works on. */
export interface DatabaseFlags extends Pick<ServeFlags, 'config' | 'dataDir'> {
  readonly json?: boolean;
}

/** Works on the configuration's database, also while gateways do. @throws Error that says where it is, what is wrong and what to do */
export async function withDatabase(
  flags: DatabaseFlags,
  env: Environment,
  work: (database: Database, config: Config) => Promise<void>,
): Promise<void> {
  const config = readConfig(flags, env);
  const location = databaseLocation(config);
  const isNew = location.kind === 'sqlite' && !existsSync(location.path);
  const database = await openDatabase(location);
  if (isNew) tellMade([`database ${location.path}`]);
  try {
    await work(database, config);
  } catch (error) {
    throw error instanceof AppError ? error : explain(error, location);
  } finally {
    await database.close();
  }
}

export function withDatabaseOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (default: qianmen.yaml, if there is one)')
    .option('--data-dir <folder>', 'where the database of SQLite is')
    .option('--json', 'print the result as JSON');
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Of what was asked for, not of the database. */
export function refuse(message: string): AppError {
  return new AppError('invalid_value', { message });
}

/** What a gateway writes meanwhile, or afterwards, would be missing. */
export function refuseWhileGatewayRuns({ dataDir }: Config): void {
  const journals = join(dataDir, 'ledger');
  if (existsSync(journals) && isAnyHeld(journals))
    throw refuse(`a gateway runs on ${dataDir}: stop it first`);
}

/** On stderr. Only what the configuration has is known: gateways may have others, or models that were brought into memory by hand. */
export function warnOfUnserved(flags: DatabaseFlags, config: Config, scope: Scope): void {
  const served = {
    models: [...new Set([...config.models.map(({ name }) => name), ...config.engines.map(engineName)])],
    regions: [...new Set([config.region, ...config.upstreams.map(({ region }) => region)])].filter(
      (region) => region !== undefined,
    ),
  };
  for (const warning of unserved(scope, served, `in ${configFile(flags) ?? 'the default configuration'}`))
    process.stderr.write(`warning: ${warning}\n`);
}

/** Names that were not known, and places where nothing was, may be slips. */
export function tellMade(made: readonly string[]): void {
  for (const what of made) process.stderr.write(`made the ${what}\n`);
}
