import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './free-port.ts';
import { unprivileged } from './postgres.ts';

/** A PgBouncer of one's own in front of one database. */
export interface PgBouncer {
  readonly url: string;
  remove(): Promise<void>;
}

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((file) => existsSync(file));

/** Why tests with PgBouncer cannot run here; undefined: they can. */
export function noPgBouncer(): string | undefined {
  if (PROGRAM !== undefined) return undefined;
  const reason = 'PgBouncer is not installed (Debian package pgbouncer): tests that need it are skipped.\n';
  process.stderr.write(reason);
  return reason;
}

/** In session mode every connection of a client needs one of the server; else a few do.
 * @param url Of the database behind it. @param mode When a connection to the server may go to another client. */
export async function startPgBouncer(url: string, mode: 'session' | 'transaction'): Promise<PgBouncer> {
  const { hostname, port: serverPort, pathname, username } = new URL(url);
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-pgbouncer-'));
  const user = unprivileged();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!);
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(users, `"${username}" ""\n`, { mode: 0o644 });
  writeFileSync(
    file,
    [
      ...['[databases]', `* = host=${hostname} port=${serverPort}`, '[pgbouncer]', 'listen_addr = 127.0.0.1'],
      ...[`listen_port = ${port}`, 'unix_socket_dir =', `pool_mode = ${mode}`, 'auth_type = trust'],
      ...[
        `auth_file = ${users}`,
        `default_pool_size = ${mode === 'session' ? 60 : 4}`,
        'max_client_conn = 200',
      ],
      'ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout',
    ].join('\n'),
  );
  const child = spawn(PROGRAM!, [file], { ...user, cwd: folder, stdio: 'ignore' });
  const ownUrl = `postgres://${username}@127.0.0.1:${port}${pathname}`;
  await answering(child, ownUrl);
  return {
    url: ownUrl,
    async remove() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answering(child: ChildProcess, url: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`PgBouncer ended with ${child.exitCode ?? child.signalCode}`);
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
