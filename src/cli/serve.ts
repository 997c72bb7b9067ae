import cluster from 'node:cluster';
import type { RunningGateway } from '../running-gateway.ts';
import { startGateway } from '../serve.ts';
import { createLogger } from '../telemetry/log.ts';
import { makeDataDir } from './data-dir.ts';
import { greeting } from './greeting.ts';
import { serveAsPrimary } from './primary.ts';
import { configFile, modelFetcher, readConfig, type ServeFlags } from './read-config.ts';
import { onReloadRequests } from './reload-requests.ts';
import type { Environment } from './run.ts';
import { onStopSignals } from './stop-signal.ts';
import { tidyWhileIdle } from './tidy-heap.ts';
import { tuneHeap } from './tune-heap.ts';
import { serveAsWorker } from './worker.ts';

/**
 * Serves until SIGTERM or SIGINT, then drains; a second signal ends at once. Reads its configuration again on SIGHUP and when
 * the file changes.
 */
export async function serve(flags: ServeFlags, env: Environment): Promise<void> {
  tuneHeap();
  if (cluster.isWorker) return await serveAsWorker();
  const file = configFile(flags);
  // A file that was there at the start is not replaced by the default when it is gone.
  const read = () => readConfig(file === undefined ? flags : { ...flags, config: file }, env);
  const config = read();
  makeDataDir(config.dataDir);
  if (config.listen.workers > 1) return await serveAsPrimary({ config, file, readConfig: read });
  const logger = createLogger(config.log.level);
  const models = modelFetcher(config.dataDir, env);
  const stop = Promise.withResolvers<NodeJS.Signals>();
  const started = Promise.withResolvers<RunningGateway>();
  const load = async () => models.all(read());
  // From the beginning: fetching and starting may take long, and the file may change meanwhile.
  await onReloadRequests({
    file,
    logger,
    reload: () => void started.promise.then((gateway) => gateway.reload(load)),
    stop: stop.resolve,
  });
  const { modelPaths } = await models.all(config);
  const running = await startGateway(config, { logger, modelPaths, fetchModel: models.one });
  onStopSignals({ stop: stop.resolve, endNow: () => process.exit(130) });
  started.resolve(running);
  tidyWhileIdle(running);
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
  const cut = await running.drain();
  logger.info({ cut }, 'stopped');
  process.exit(0);
}
