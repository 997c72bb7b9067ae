import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { eventually, startGatewayProcess } from '../support/gateway-process.ts';

const CLIENTS = 1_500;
const SOME_MAX = '/proc/sys/net/core/somaxconn';

it('a burst of clients is let in while the gateway is busy, and answered once it is not', async () => {
  const clients = Math.min(CLIENTS, Number(readFileSync(SOME_MAX, 'utf8')));
  const gateway = await startGatewayProcess({ models: [] });
  onTestFinished(() => gateway.kill());
  const { port } = new URL(gateway.url);
  gateway.child.kill('SIGSTOP');
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  let connected = 0;
  let answered = 0;
  for (let i = 0; i < clients; i += 1) {
    const socket = connect(Number(port), '127.0.0.1');
    sockets.push(socket);
    socket.once('connect', () => {
      connected += 1;
      socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n');
    });
    socket.once('data', (bytes: Buffer) => {
      if (bytes.toString('latin1').startsWith('HTTP/1.1 200 ')) answered += 1;
    });
    socket.on('error', () => {});
  }
  await eventually('all are let in', () => connected === clients);
  gateway.child.kill('SIGCONT');
  await eventually('all are answered', () => answered === clients, 30_000);
  expect(answered).toBe(clients);
}, 60_000);
