import { join } from 'node:path';
import { installPython, pythonVersion } from '../install.ts';
import { launch } from '../launch.ts';
import { cacheFolder } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';

export const vllmRouter: Peer = {
  name: 'vllm-router',
  setup: 'Rust behind a Python launcher; round robin over one worker, Prometheus on, log level error',
  openRatePerSecond: 200,
  pacedStreams: 200,
  install: async () => {
    await installPython('vllm-router', 'vllm-router==0.1.17');
  },
  version: () => pythonVersion('vllm-router'),
  start: (options) =>
    launch(options, {
      command: [
        join(cacheFolder, 'vllm-router/bin/vllm-router'),
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
