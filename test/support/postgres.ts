import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './free-port.ts';

/** A PostgreSQL server of one's own on loopback. What it holds need not survive a power failure. */
export interface PostgresServer {
  /** Makes an empty database; resolves to its URL. */
  createDatabase(): Promise<string>;
  /** As when it crashes: every connection breaks, and nobody listens. */
  stop(): Promise<void>;
  /** Again on the same port, with the same data. */
  start(): Promise<void>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

/** Why tests with PostgreSQL cannot run here; undefined: they can. In CI they must. */
export function noPostgres(): string | undefined {
  if (programs() !== undefined) return undefined;
  const reason = 'PostgreSQL is not installed (Debian package postgresql): tests that need it are skipped.\n';
  if (process.env.CI === 'true') throw new Error(reason);
  process.stderr.write(reason);
  return reason;
}

/** The folder of the newest version installed. */
function programs(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(':'),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

export async function startPostgres(): Promise<PostgresServer> {
  const bin = programs()!;
  const user = unprivileged();
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-postgres-'));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!);
  const data = join(folder, 'data');
  const init = ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-locale', '--no-sync'];
  execFileSync(join(bin, 'initdb'), init, { ...user, cwd: folder, stdio: 'pipe' });
  const port = await freePort();
  const url = (name: string) => `postgres://postgres@127.0.0.1:${port}/${name}`;
  const settings = [`listen_addresses=127.0.0.1`, 'fsync=off', 'max_connections=200'].flatMap((s) => [
    '-c',
    s,
  ]);
  const begin = async () => {
    const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', `${port}`, '-k', folder, ...settings], {
      ...user,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await answering(child, url('postgres'));
    return child;
  };
  let child = await begin();
  let databases = 0;
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGQUIT');
    await exited;
  };
  return {
    stop,
    async start() {
      child = await begin();
    },
    async remove() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
    async createDatabase() {
      databases += 1;
      const client = new Client(url('postgres'));
      await client.connect();
      await client.query(`create database test${databases}`);
      await client.end();
      return url(`test${databases}`);
    },
  };
}

/** PostgreSQL refuses to run as root. */
export function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`PostgreSQL ended with ${child.exitCode ?? child.signalCode}:\n${output}`);
    const client = new Client(url);
    try {
      await client.connect();
      return;
    } catch {
      await sleep(20);
    } finally {
      await client.end();
    }
  }
}
