import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkConfig, DEFAULT_CONFIG, loadConfig } from '../../config/load.ts';
import { type Config, engineName } from '../../config/schema.ts';
import { startGateway } from '../serve.ts';
import { createLogger } from '../telemetry/log.ts';
import { fetchWithProgress } from './fetch-with-progress.ts';
import { greeting } from './greeting.ts';
import type { Environment } from './run.ts';

const DEFAULT_FILE = 'qianmen.yaml';

export interface ServeFlags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
  readonly dataDir?: string;
}

/** Serves until SIGTERM or SIGINT, then drains. A second signal ends at once. */
export async function serve(flags: ServeFlags, env: Environment): Promise<void> {
  const config = readConfig(flags, env);
  const logger = createLogger(config.log.level);
  const modelPaths = new Map<string, string>();
  for (const engine of config.engines) {
    if (engine.model === undefined) continue;
    modelPaths.set(
      engineName(engine),
      await fetchWithProgress(engine.model, join(config.dataDir, 'models'), env),
    );
  }

  const running = await startGateway(config, { logger, modelPaths });
  const stop = Promise.withResolvers<NodeJS.Signals>();
  process.once('SIGTERM', stop.resolve);
  process.once('SIGINT', stop.resolve);
  logger.info({ url: `${running.url}/v1`, models: running.gateway.models().map((m) => m.name) }, 'listening');
  void running.enginesSettled.then(() => {
    if (!running.readiness().ready) return;
    const startMs = Math.round(process.uptime() * 1000);
    logger.info({ startMs }, 'ready');
    if (process.stderr.isTTY)
      process.stderr.write(
        greeting(
          running.url,
          running.gateway.models().map((m) => m.name),
          startMs,
        ),
      );
  });

  const signal = await stop.promise;
  logger.info({ signal, inFlight: running.gateway.inFlight }, 'draining');
  const endNow = () => process.exit(130);
  process.once('SIGTERM', endNow);
  process.once('SIGINT', endNow);
  const cut = await running.drain();
  logger.info({ cut }, 'stopped');
  process.exit(0);
}

function readConfig(flags: ServeFlags, env: Environment): Config {
  const file = flags.config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const config =
    file === undefined ? checkConfig(DEFAULT_CONFIG, 'the default configuration') : loadConfig(file, env);
  return {
    ...config,
    dataDir: flags.dataDir ?? config.dataDir,
    listen: {
      ...config.listen,
      host: flags.host ?? config.listen.host,
      port: flags.port ?? config.listen.port,
    },
  };
}
