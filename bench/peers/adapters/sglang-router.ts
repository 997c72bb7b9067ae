import { join } from 'node:path';
import { installPython, pythonVersion } from '../install.ts';
import { launch } from '../launch.ts';
import { cacheFolder } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';

export const sglangRouter: Peer = {
  name: 'sglang-router',
  setup: 'Rust behind a Python launcher; round robin over one worker, Prometheus on, log level error',
  openRatePerSecond: 200,
  pacedStreams: 200,
  install: async () => {
    await installPython('sglang-router', 'sglang-router==0.3.2');
  },
  version: () => pythonVersion('sglang-router'),
  start: (options) =>
    launch(options, {
      command: [
        join(cacheFolder, 'sglang-router/bin/python'),
        ...['-m', 'sglang_router.launch_router'],
        ...['--worker-urls', options.upstreamUrl, '--policy', 'round_robin'],
        ...['--host', '127.0.0.1', '--port', String(options.port)],
        ...['--prometheus-host', '127.0.0.1', '--prometheus-port', String(options.sparePort)],
        ...['--log-level', 'error'],
      ],
      readyPath: '/v1/models',
      model: UPSTREAM_MODEL,
      limitMs: 40_000,
    }),
};
