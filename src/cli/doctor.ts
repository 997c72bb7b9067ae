import { existsSync } from 'node:fs';
import { nothingServed } from '../../config/nothing-served.ts';
import type { Config } from '../../config/schema.ts';
import type { Check, Progress } from '../doctor/check.ts';
import { checkDatabase } from '../doctor/database.ts';
import { checkLocalModels } from '../doctor/local-models.ts';
import { checkMachine } from '../doctor/machine.ts';
import { checkDataDir, checkPort } from '../doctor/places.ts';
import { isHealthy, reportJson, reportText } from '../doctor/report.ts';
import { checkUpstreams } from '../doctor/upstreams.ts';
import { configFile, readConfig, type ServeFlags } from './read-config.ts';
import type { Environment } from './run.ts';

/** `qianmen doctor`: looks at everything that serving needs, and tries every local model. Exit code 1 if something is wrong. */
export async function doctor(
  flags: ServeFlags & { readonly json?: boolean },
  env: Environment,
): Promise<void> {
  const progress: Progress = (text) => void process.stderr.write(`${text} …\n`);
  const checks = [...checkMachine(), ...(await checkConfigured(flags, env, progress))];
  process.stdout.write(flags.json ? reportJson(checks) : reportText(checks));
  process.exitCode = isHealthy(checks) ? 0 : 1;
}

async function checkConfigured(flags: ServeFlags, env: Environment, progress: Progress): Promise<Check[]> {
  const name = configFile(flags) ?? 'no configuration file';
  let config: Config;
  try {
    config = readConfig(flags, env);
  } catch (error) {
    const fix = existsSync(name)
      ? 'Correct the file; docs/settings.md has a table of all settings.'
      : 'Name one that there is with --config.';
    // The message names the file.
    return [
      { section: 'configuration', name: 'file', status: 'failed', detail: (error as Error).message, fix },
    ];
  }
  progress('asking upstreams');
  return [
    checkContents(name, config),
    checkDataDir(config.dataDir),
    await checkDatabase(config),
    await checkPort(config),
    ...(await checkUpstreams(config)),
    ...(await checkLocalModels(config, progress)),
  ];
}

function checkContents(name: string, config: Config): Check {
  const { engines, upstreams, models } = config;
  const detail = `engines: ${engines.length}, upstreams: ${upstreams.length}, models: ${models.length}`;
  const common = { section: 'configuration', name, detail } as const;
  const remedy = nothingServed(config);
  if (remedy === undefined) return { ...common, status: 'ok' };
  return { ...common, status: 'failed', fix: `Nothing is served: ${remedy}.` };
}
