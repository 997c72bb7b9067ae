import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server on loopback, and can stop passing anything on without closing a connection. */
export interface FreezableProxy {
  readonly port: number;
  freeze(): void;
  thaw(): void;
  /** Who connects from now on gets to another server; connections that are there stay. */
  leadTo(serverPort: number): void;
  close(): void;
}

export async function freezableProxy(serverPort: number): Promise<FreezableProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  let port = serverPort;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}).on('close', () => void to.destroy());
      from.pipe(to);
      if (frozen) from.pause();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    leadTo(otherPort) {
      port = otherPort;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
