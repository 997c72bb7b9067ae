import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Backend, Relay, RelaySink } from '../../src/core/backend.ts';
import { AppError } from '../../src/core/error.ts';
import type { GatewayEvent } from '../../src/core/event.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { createUpstream } from '../../src/upstream/upstream.ts';
import type { UpstreamOptions } from '../../src/upstream/upstream-options.ts';
import { type FakeBehaviour, type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';

export interface Ask {
  readonly stream?: boolean;
  readonly includeUsage?: boolean;
  readonly path?: string;
  /** Replaces the body. */
  readonly body?: string;
  readonly maxTokens?: number;
}

/** A request as the relay sees it: what it does not read is left out. */
export function ask({
  stream = true,
  includeUsage = false,
  path,
  body,
  maxTokens,
}: Ask = {}): GenerateRequest {
  const completion = path === '/completions';
  const written = JSON.stringify({
    model: 'public-name',
    ...(completion ? { prompt: 'Say it' } : { messages: [{ role: 'user', content: 'Say it' }] }),
    ...(stream && { stream, ...(includeUsage && { stream_options: { include_usage: true } }) }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
  });
  const request: Partial<GenerateRequest> = {
    id: 'req_1',
    endpoint: completion ? 'completion' : 'chat',
    stream,
    includeUsage,
    requirements: [],
    wire: { dialect: 'openai', path: path ?? '/chat/completions', body: Buffer.from(body ?? written) },
  };
  return request as GenerateRequest;
}

/** Takes everything at once and remembers each write. */
export class Collector implements RelaySink {
  readonly writes: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.writes).toString();
  }

  write(chunk: Uint8Array): boolean {
    this.writes.push(Buffer.from(chunk));
    return true;
  }

  async drained(): Promise<void> {}
}

export interface Connected {
  readonly fake: FakeUpstream;
  readonly upstream: Backend;
  readonly events: GatewayEvent[];
  relay(request?: GenerateRequest, signal?: AbortSignal): Promise<Relay>;
}

/** An upstream of ours at a fake in this process. Both end with the test. */
export async function connect(
  behaviour: FakeBehaviour = {},
  options: Partial<UpstreamOptions> = {},
): Promise<Connected> {
  const fake = await startFakeUpstream({ behaviour });
  onTestFinished(() => fake.close());
  return { fake, ...reach(fake.url, options) };
}

export function reach(url: string, options: Partial<UpstreamOptions> = {}): Omit<Connected, 'fake'> {
  const events: GatewayEvent[] = [];
  const upstream = createUpstream({ name: 'up', url, emit: (event) => events.push(event), ...options });
  onTestFinished(() => upstream.close());
  return {
    upstream,
    events,
    relay: (request = ask(), signal = new AbortController().signal) =>
      upstream.relay!(request, { model: 'fake-model', signal }),
  };
}

/** Relays to the end and returns what arrived. */
export async function receive(connected: Pick<Connected, 'relay'>, request = ask()): Promise<string> {
  const sink = new Collector();
  const relay = await connected.relay(request);
  await relay.pump(sink);
  return sink.text;
}

/** What a promise is rejected with, which must be an AppError. */
export async function failureOf(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

export async function expectIdle({ upstream }: Pick<Connected, 'upstream'>): Promise<void> {
  await expect.poll(() => upstream.health().inFlight, { timeout: 5_000, interval: 5 }).toBe(0);
}

export interface FakeProcess {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
}

/** The fake as a process of its own, for signals. Killed when the test ends. */
export async function spawnFake(
  behaviour: FakeBehaviour = {},
  flags: readonly string[] = [],
): Promise<FakeProcess> {
  const program = fileURLToPath(new URL('../fakes/openai-upstream.ts', import.meta.url));
  const child = spawn(process.execPath, [program, '--behaviour', JSON.stringify(behaviour), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the fake has ended with ${code ?? signal}`);
  });
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])) as [
    string,
  ];
  const ready = JSON.parse(line) as { url: string; port: number };
  return { ...ready, child };
}

/** A server that speaks raw bytes. */
export async function rawServer(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

/** The same, as an upstream: its probes are answered, and every request gets what `act` does. */
export function rawUpstream(act: (socket: Socket) => void): Promise<string> {
  return rawServer((socket) => {
    socket.on('data', (bytes) => {
      if (bytes.toString('latin1', 0, 3) === 'GET')
        socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      else if (bytes.toString('latin1', 0, 4) === 'POST') act(socket);
    });
  });
}

/** More and more of the same, until nobody takes it. */
export function pour(socket: Socket, beginning: string, block: string): void {
  socket.write(beginning);
  // A failed write is told before the socket counts as destroyed: whoever then writes again is told again, for ever.
  const more = (error?: Error | null) => {
    if (!error) socket.write(block, more);
  };
  more();
}
