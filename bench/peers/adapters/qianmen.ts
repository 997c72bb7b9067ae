import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../launch.ts';
import { root } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';
import { runToEnd } from '../processes.ts';

const main = join(root, 'dist/src/main.js');

/** As `npm start` runs it. */
const program = ['--max-semi-space-size=8', '--single-threaded-gc', main];

/** As a team would run it. */
export const qianmen = built('qianmen', true);
/** Where nobody needs a key: one who trusts everybody that reaches it. */
export const qianmenOpen = built('qianmen-open', false);

function built(name: string, keyed: boolean): Peer {
  return {
    ...qianmenFrom(name, program, keyed),
    async install() {
      const build = [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'];
      await runToEnd([process.execPath, ...build], { timeoutMs: 120_000, cwd: root });
      if (!existsSync(main)) throw new Error('the build left no dist/src/main.js');
    },
  };
}

/**
 * @param program What Node runs: its flags and the entry.
 * @param keyed Every request has a key, is counted against limits, is priced and goes to the ledger.
 */
export function qianmenFrom(name: string, program: readonly string[], keyed: boolean): Peer {
  const accounts = keyed ? 'an API key with limits, prices, a ledger in SQLite' : 'no keys';
  return {
    name,
    setup: `as built, one upstream, model renamed, usage and metrics on, ${accounts}, log level warn`,
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
      const price = { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.4 };
      const deployment = { upstream: 'fake', model: UPSTREAM_MODEL, ...(keyed ? { price } : {}) };
      writeFileSync(
        config,
        JSON.stringify({
          listen: { port: options.port },
          upstreams: [{ name: 'fake', url: `${options.upstreamUrl}/v1` }],
          models: [{ name: 'bench', deployments: [deployment] }],
          log: { level: 'warn' },
        }),
      );
      const run = [process.execPath, ...program];
      return launch(options, {
        command: [...run, 'serve', '--config', config],
        readyPath: '/readyz',
        model: 'bench',
        headers: keyed ? [`authorization: Bearer ${await newKey(run, config, options.folder)}`] : [],
      });
    },
  };
}

/** A key of another project, at the gateway that was started in this folder as it is built. */
export function neighbourKey(folder: string): Promise<string> {
  const run = [process.execPath, ...program];
  return newKey(run, join(folder, 'qianmen.yaml'), folder, ['--project', 'neighbour']);
}

/** One with every kind of limit, none of which is reached. */
async function newKey(
  run: readonly string[],
  config: string,
  cwd: string,
  more: readonly string[] = [],
): Promise<string> {
  const limits = { rpm: 1e9, tpm: 1e12, concurrency: 1e5, 'usd-per-day': 1e6 };
  const given = Object.entries(limits).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const command = [
    ...run,
    'key',
    'create',
    '--name',
    `bench-${Date.now()}`,
    '--json',
    ...given,
    ...more,
    '--config',
    config,
  ];
  const { secret } = JSON.parse(await runToEnd(command, { timeoutMs: 20_000, cwd })) as { secret: string };
  return secret;
}
