import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../launch.ts';
import { root } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';
import { runToEnd } from '../processes.ts';

const main = join(root, 'dist/src/main.js');

export const qianmen: Peer = {
  ...qianmenFrom(['--max-semi-space-size=8', main]),
  async install() {
    await runToEnd(
      [process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
      {
        timeoutMs: 120_000,
        cwd: root,
      },
    );
    if (!existsSync(main)) throw new Error('the build left no dist/src/main.js');
  },
};

/** @param program What Node runs: its flags and the entry. */
export function qianmenFrom(program: readonly string[]): Peer {
  return {
    name: 'qianmen',
    setup: 'as built, one upstream, model renamed, usage and metrics on, log level warn',
    openRatePerSecond: 200,
    pacedStreams: 200,
    async install() {},
    async version() {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
      const commit = await runToEnd(['git', 'rev-parse', '--short', 'HEAD'], { timeoutMs: 5_000, cwd: root });
      return `${version} (${commit.trim()})`;
    },
    async start(options) {
      // JSON is YAML.
      const config = join(options.folder, 'qianmen.yaml');
      writeFileSync(
        config,
        JSON.stringify({
          listen: { port: options.port },
          upstreams: [{ name: 'fake', url: `${options.upstreamUrl}/v1` }],
          models: [{ name: 'bench', deployments: [{ upstream: 'fake', model: UPSTREAM_MODEL }] }],
          log: { level: 'warn' },
        }),
      );
      return launch(options, {
        command: [process.execPath, ...program, 'serve', '--config', config],
        readyPath: '/v1/models',
        model: 'bench',
      });
    },
  };
}
