import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { freePort } from './free-port.ts';

/** A Redis server of one's own on loopback. It keeps nothing when it ends. */
export interface RedisServer {
  readonly url: string;
  /** The process that serves now. */
  readonly child: ChildProcess;
  /** Asks it something directly. */
  ask(...command: string[]): Promise<unknown>;
  /** As when it crashes. */
  kill(): Promise<void>;
  /** Again on the same port, with nothing in it. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

/** Why tests with Redis cannot run here; undefined: they can. In CI they must. */
export function noRedis(): string | undefined {
  if (program() !== undefined) return undefined;
  const reason = 'Redis is not installed (Debian package redis-server): tests that need it are skipped.\n';
  if (process.env.CI === 'true') throw new Error(reason);
  process.stderr.write(reason);
  return reason;
}

function program(): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.map((folder) => join(folder, 'redis-server')).find((file) => existsSync(file));
}

/** @param tls Files of a certificate and its key: it is spoken to in TLS only. */
export async function startRedis(tls?: {
  readonly cert: string;
  readonly key: string;
}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-redis-'));
  const port = await freePort();
  const url = `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}`;
  const args = ['--bind', '127.0.0.1', '--save', '', '--dir', folder];
  if (tls === undefined) args.push('--port', `${port}`);
  else {
    args.push('--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'no');
    args.push('--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.cert);
  }
  const client = () =>
    createClient({
      url,
      RESP: 2,
      socket: { reconnectStrategy: false, ...(tls && { tls: true, ca: readFileSync(tls.cert) }) },
    }).on('error', () => {});
  const begin = async () => {
    const child = spawn(program()!, args, { stdio: 'ignore' });
    while (!(await answers(client()))) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`redis-server ended with ${child.exitCode ?? child.signalCode}`);
      await sleep(10);
    }
    return child;
  };
  let child = await begin();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    url,
    kill,
    get child() {
      return child;
    },
    async ask(...command) {
      const asking = client();
      await asking.connect();
      try {
        return await asking.sendCommand(command);
      } finally {
        asking.destroy();
      }
    },
    async start() {
      child = await begin();
    },
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Client {
  connect(): Promise<unknown>;
  sendCommand(command: readonly string[]): Promise<unknown>;
  destroy(): void;
}

async function answers(client: Client): Promise<boolean> {
  try {
    await client.connect();
    await client.sendCommand(['PING']);
    client.destroy();
    return true;
  } catch {
    return false;
  }
}
