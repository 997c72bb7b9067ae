import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../config/schema.ts';
import { errorBody } from './api/openai/error-body.ts';
import { AppError } from './core/error.ts';

/** The HTTP/1.1 server with its time limits; what is not HTTP gets an error in OpenAI's shape all the same. */
export function createHttpServer(
  handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
  config: () => Config,
): Server {
  const server = createServer(
    {
      noDelay: true,
      keepAliveTimeout: 75_000,
      connectionsCheckingInterval: Math.min(1_000, config().listen.requestTimeoutMs),
    },
    handle,
  );
  limitTimes(server, config());
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // A body that will be refused for its size is not asked for.
    if (!(Number(incoming.headers['content-length']) > config().listen.maxBodyBytes))
      outgoing.writeContinue();
    handle(incoming, outgoing);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || socket.bytesWritten > 0) {
      socket.destroy();
      return;
    }
    const timedOut = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const failure = timedOut
      ? new AppError('request_timeout')
      : new AppError('invalid_value', { message: 'The request is not valid HTTP/1.1.' });
    const body = JSON.stringify(errorBody(failure));
    socket.end(
      `HTTP/1.1 ${failure.status} ${timedOut ? 'Request Timeout' : 'Bad Request'}\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  });
  return server;
}

/** Also for a server that runs: it concerns connections that come later. */
export function limitTimes(server: Server, { listen: { requestTimeoutMs } }: Config): void {
  server.headersTimeout = requestTimeoutMs;
  server.requestTimeout = requestTimeoutMs;
}

/** @throws Error that names the fix if the address cannot be bound. */
export function listen(server: Server, { listen: { host, port } }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`Port ${port} on ${host} is taken. Stop what uses it, or choose another with --port.`)
          : new Error(`Cannot listen on ${host}:${port}: ${error.message}`),
      );
    });
    server.listen({ host, port }, resolve);
  });
}
