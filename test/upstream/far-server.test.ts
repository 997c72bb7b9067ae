import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const NETWORK = fileURLToPath(new URL('../support/far_network.py', import.meta.url));
const PROGRAM = fileURLToPath(new URL('far-server.ts', import.meta.url));

const far = (oneWayMs: number, ...program: readonly string[]) =>
  spawnSync('unshare', ['-n', 'python3', NETWORK, String(oneWayMs), ...program], { encoding: 'utf8' });

/** It takes Linux, root, Python and a TUN device. */
const noNetwork = far(0, 'true').status !== 0;

it.skipIf(noNetwork)('a server on another continent is reached, however many addresses its name has', () => {
  expect(far(150, process.execPath, PROGRAM).stdout.trim()).toBe('200');
});
