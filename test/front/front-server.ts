import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import type { ClientReply } from '../../src/api/http/client-reply.ts';
import type { Incoming } from '../../src/api/http/incoming.ts';
import { NodeIncoming } from '../../src/api/http/node-incoming.ts';
import { NodeReply } from '../../src/api/http/node-reply.ts';
import { type Answers, createHttpServer, limitTimes, listen } from '../../src/front/http-server.ts';
import type { PlainConnections } from '../../src/front/plain-connections.ts';
import { isHost } from '../../src/front/plain-head.ts';

/** What the server was asked, however it was read. */
export interface Asked {
  readonly path: string;
  readonly body: string;
  readonly plain: boolean;
  readonly client: ClientReply;
}

export interface FrontServer {
  readonly url: string;
  readonly server: Server;
  /** Undefined: Node reads everything. */
  readonly plain: PlainConnections | undefined;
  /** The server's ends of all connections so far. */
  readonly sockets: readonly Socket[];
  /** Requests whose body is there, in order. */
  readonly asked: readonly Asked[];
}

export type Answer = (incoming: Incoming, client: ClientReply) => Promise<void> | void;

export const ECHO = '/echo';

/** Sends the body back. */
export function echo(body: Buffer, client: ClientReply): void {
  client.start(200, 'content-type: text/plain\r\n', body.length);
  client.end(body);
}

/** A server whose POST requests for `/echo` get their body back, unless `answer` does otherwise. Ends with the test. */
export async function serveFront(options: {
  readonly listen?: object;
  /** Node reads everything. */
  readonly bare?: boolean;
  readonly answer?: Answer;
}): Promise<FrontServer> {
  const config = configSchema.parse({ listen: { port: 0, ...options.listen } });
  const asked: Asked[] = [];
  const answerEcho = async (incoming: Incoming, client: ClientReply, plain: boolean) => {
    try {
      const body = await incoming.body(config.listen.maxBodyBytes);
      asked.push({ path: incoming.url, body: body.toString('latin1'), plain, client });
      echo(body, client);
    } catch {
      client.destroy();
    }
  };
  const answer = (incoming: Incoming, client: ClientReply, plain: boolean) =>
    void (options.answer?.(incoming, client) ?? answerEcho(incoming, client, plain));
  const answers: Answers = {
    takes: (path) => path === ECHO,
    answer: (_, incoming, client) => answer(incoming, client, true),
    serve: (incoming, outgoing) => answer(new NodeIncoming(incoming), new NodeReply(outgoing), false),
  };
  const front = options.bare ? undefined : createHttpServer(answers, () => config);
  const bare = { requireHostHeader: false, connectionsCheckingInterval: config.listen.requestTimeoutMs };
  const server =
    front?.server ??
    createServer(bare, (incoming, outgoing) => {
      if (hasHost(incoming)) answers.serve(incoming, outgoing);
      else outgoing.writeHead(400, { connection: 'close' }).end();
    });
  limitTimes(server, config);
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await listen(server, config, (error) => {
    throw error;
  });
  const { port } = server.address() as AddressInfo;
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return { url: `http://127.0.0.1:${port}`, server, plain: front?.plain, sockets, asked };
}

/** Node does not look at what it says, or how often; ours does. */
function hasHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  const hosts = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'host');
  return hosts.length === 0 ? httpVersion === '1.0' : hosts.length === 1 && isHost(hosts[0]);
}

/** The bytes of a request for the echo. */
export function post(body: string, headers: readonly string[] = [], path = ECHO): string {
  const lines = ['host: a', `content-length: ${Buffer.byteLength(body)}`, ...headers];
  return `POST ${path} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}
