import { join } from 'node:path';
import { installNodePackages } from '../install.ts';
import { launch } from '../launch.ts';
import { peersFolder } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';

export const nodeBare: Peer = {
  name: 'node-bare',
  setup: 'node:http and undici dispatch, bytes passed on unread: what Node itself costs',
  openRatePerSecond: 200,
  pacedStreams: 200,
  install: installNodePackages,
  version: async () => process.version,
  start: (options) =>
    launch(options, {
      command: [
        process.execPath,
        join(peersFolder, 'bare-gateway.ts'),
        String(options.port),
        options.upstreamUrl,
      ],
      readyPath: '/v1/models',
      model: UPSTREAM_MODEL,
    }),
};
