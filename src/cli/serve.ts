import { closeSync, openSync } from 'node:fs';
import { startGateway } from '../serve.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';
import { greeting } from './greeting.ts';
import { configFile, modelFetcher, readConfig, type ServeFlags } from './read-config.ts';
import type { Environment } from './run.ts';
import { watchFile } from './watch-file.ts';

/**
 * Serves until SIGTERM or SIGINT, then drains; a second signal ends at once. Reads its configuration again on SIGHUP and when
 * the file changes.
 */
export async function serve(flags: ServeFlags, env: Environment): Promise<void> {
  const config = readConfig(flags, env);
  const logger = createLogger(config.log.level);
  const fetchModels = modelFetcher(env);
  const { modelPaths } = await fetchModels(config, config.dataDir);

  const running = await startGateway(config, { logger, modelPaths });
  const stop = Promise.withResolvers<NodeJS.Signals>();
  process.once('SIGTERM', stop.resolve);
  process.once('SIGINT', stop.resolve);
  await onReloadRequest(flags, logger, stop.resolve, () =>
    running.reload(async () => fetchModels(readConfig(flags, env), config.dataDir)),
  );
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

/** SIGHUP also means that the terminal has gone: what was started in one ends with it. */
async function onReloadRequest(
  flags: ServeFlags,
  logger: Logger,
  stop: (signal: NodeJS.Signals) => void,
  reload: () => Promise<unknown>,
): Promise<void> {
  const startedInTerminal = hasTerminal();
  process.on('SIGHUP', () => {
    if (startedInTerminal && !hasTerminal()) stop('SIGHUP');
    else void reload();
  });
  const file = configFile(flags);
  if (file === undefined) return;
  try {
    await watchFile(file, () => void reload());
  } catch (error) {
    logger.warn({ file, err: error }, 'cannot watch the configuration; SIGHUP still reloads it');
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
