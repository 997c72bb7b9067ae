import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installNodePackages } from '../install.ts';
import { launch } from '../launch.ts';
import { peersFolder } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';

const packageFolder = join(peersFolder, 'node_modules/@portkey-ai/gateway');

export const portkey: Peer = {
  name: 'portkey',
  setup:
    'Hono on Node, headless, NODE_ENV=production; provider openai with a custom host; @hono/node-server held at 1.13, as streams fail with 1.14 and later',
  openRatePerSecond: 200,
  pacedStreams: 200,
  install: installNodePackages,
  version: async () => JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')).version,
  start: (options) =>
    launch(options, {
      command: [
        process.execPath,
        join(packageFolder, 'build/start-server.js'),
        `--port=${options.port}`,
        '--headless',
      ],
      readyPath: '/',
      model: UPSTREAM_MODEL,
      headers: [
        'x-portkey-provider: openai',
        `x-portkey-custom-host: ${options.upstreamUrl}/v1`,
        'authorization: Bearer none',
      ],
    }),
};
