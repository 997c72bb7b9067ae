import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../fakes/openai-upstream.ts';
import { makeCertificate } from '../support/certificate.ts';
import { failureOf, rawServer, reach } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'qianmen-tls-'));
const files = makeCertificate(folder, 'DNS:localhost');
afterAll(() => rmSync(folder, { recursive: true }));

/** @returns Its port. */
async function serve(onRequest: (socket: TLSSocket) => void = () => {}): Promise<number> {
  const pair = { key: readFileSync(files!.key), cert: readFileSync(files!.cert) };
  const server = createServer(pair, ({ socket }, response) => {
    onRequest(socket as TLSSocket);
    response.setHeader('content-type', 'application/json').end('{"object":"list","data":[]}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function trustCertificate(): void {
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, readFileSync(files!.cert, 'utf8')]);
  onTestFinished(() => setDefaultCACertificates(trusted));
}

async function saidOf(url: string): Promise<string> {
  const { cause } = await failureOf(reach(url).relay());
  return (cause as Error).message;
}

describe.skipIf(files === undefined)('a server that speaks TLS', () => {
  it('has its certificate looked at by every probe, and its protocol asked for, as by every connection', async () => {
    trustCertificate();
    const probes: object[] = [];
    const port = await serve((socket) =>
      probes.push({ resumed: socket.isSessionReused(), protocol: socket.alpnProtocol }),
    );
    reach(`https://localhost:${port}/v1`, { probe: { intervalMs: 10, timeoutMs: 5_000 } });
    await expect.poll(() => probes.length, { timeout: 10_000 }).toBeGreaterThan(5);
    for (const probe of probes) expect(probe).toEqual({ resumed: false, protocol: 'http/1.1' });
  });

  it('and is not trusted, or has another name, is told of with what to do', async () => {
    const port = await serve();
    expect(await saidOf(`https://localhost:${port}/v1`)).toMatch(/^self-signed certificate\. Have its auth/);
    trustCertificate();
    expect(await saidOf(`https://127.0.0.1:${port}/v1`)).toMatch(/altnames.*\. Have its url name what/);
  });
});

it('a server without TLS is told of with what to do, where its url says that it has it', async () => {
  const fake = await startFakeUpstream();
  onTestFinished(() => fake.close());
  const url = fake.url.replace('http:', 'https:');
  expect(await saidOf(url)).toBe(
    'TLS: wrong version number. It does not speak TLS: begin its url with http://.',
  );
});

it.each([
  ['nginx', '<center>The plain HTTP request was sent to HTTPS port</center>'],
  ['Go', 'Client sent an HTTP request to an HTTPS server.'],
  ['Apache', "Reason: You're speaking plain HTTP to an SSL-enabled server port."],
])('a client is not blamed where %s is spoken to without TLS', async (_name, words) => {
  const answer = (socket: Socket) =>
    socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n<html>${words}`);
  const { relay, events } = reach(await rawServer((socket) => socket.once('data', () => answer(socket))));
  expect(await failureOf(relay())).toMatchObject({
    code: 'upstream_refused',
    cause: { message: expect.stringContaining('begin its url with https://') },
  });
  const problem = { fix: expect.stringContaining('begin its url with https://') };
  await expect
    .poll(() => events)
    .toContainEqual(expect.objectContaining({ problem: expect.objectContaining(problem) }));
});
