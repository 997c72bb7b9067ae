import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';

const LOWEST = 10_000;

/**
 * Listens on a port that nobody listens on. It is none of those that the system hands out: a connection that is made while the
 * server is away would have it, and whoever starts there again would find it taken.
 */
export async function listenOnFreePort(server: Server, options: ListenOptions = {}): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, firstHandedOut());
    try {
      await once(server.listen({ host: '127.0.0.1', ...options, port }), 'listening');
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** Such a port on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  await once(server, 'close');
  return port;
}

function firstHandedOut(): number {
  const file = '/proc/sys/net/ipv4/ip_local_port_range';
  const first = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : 0;
  // Where nearly all are handed out, some of them have to do.
  return first > LOWEST + 1_000 ? first : 32_768;
}
