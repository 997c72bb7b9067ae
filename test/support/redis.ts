import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';

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

export async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  const begin = async () => {
    const child = spawn(program()!, args, { stdio: 'ignore' });
    while (!(await answers(url))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
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
      const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false } });
      client.on('error', () => {});
      await client.connect();
      try {
        return await client.sendCommand(command);
      } finally {
        client.destroy();
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

async function answers(url: string): Promise<boolean> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.sendCommand(['PING']);
    client.destroy();
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
