import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../../config/schema.ts';
import { errorBody } from '../api/openai/error-body.ts';
import { AppError, type AppErrorOptions } from '../core/error.ts';
import { http } from '../core/node-http.ts';
import type { HttpSocket } from './http-socket.ts';
import { type PlainAnswers, PlainConnections } from './plain-connections.ts';
import { isHost } from './plain-head.ts';

/** Answers requests, however they are read. */
export interface Answers extends PlainAnswers {
  serve(incoming: IncomingMessage, outgoing: ServerResponse): void;
}

export interface HttpServer {
  readonly server: Server;
  /** Connections that are not, or not yet, read by Node. */
  readonly plain: PlainConnections;
}

/**
 * Connections that wait to be accepted, if the system lets so many (Linux: `net.core.somaxconn`). Whoever finds no room among them tries again after
 * seconds, or is cut off in the middle of its request: a burst of clients must not meet that while the event loop is busy.
 */
const MAX_UNACCEPTED = 4_096;

/** So long may a client go on that was refused and does not close. */
const LINGER_MS = 1_000;

/** The HTTP/1.1 server with its time limits; what is not HTTP gets an error in OpenAI's shape all the same. */
export function createHttpServer(answers: Answers, config: () => Config): HttpServer {
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (hasOneHost(incoming)) answers.serve(incoming, outgoing);
    else refuseRequest(outgoing, { message: 'The request needs exactly one valid Host header.' });
  };
  const server = http.createServer(
    {
      noDelay: true,
      // Missing ones are refused below, with a body that says so; old health checks speak HTTP/1.0, which needs none.
      requireHostHeader: false,
      keepAliveTimeout: 75_000,
      connectionsCheckingInterval: Math.min(1_000, config().listen.requestTimeoutMs),
    },
    serve,
  );
  limitTimes(server, config());
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // A body that will be refused is not asked for.
    const tooLarge = Number(incoming.headers['content-length']) > config().listen.maxBodyBytes;
    if (!tooLarge && hasOneHost(incoming)) continueWhenFirst(outgoing);
    serve(incoming, outgoing);
  });
  server.on('checkExpectation', (_incoming: IncomingMessage, outgoing: ServerResponse) =>
    refuseRequest(outgoing, { status: 417, message: 'No expectation but `100-continue` can be met.' }),
  );
  server.on('connect', (_incoming: IncomingMessage, socket: HttpSocket) => {
    refuse(socket, new AppError('method_not_allowed', { message: 'This server is no proxy.' }));
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: HttpSocket) => {
    // It came after a request that says `Connection: close`, whose reply is on its way.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    const reply = socket._httpMessage;
    // Where another request waits for its reply, this would be taken for it.
    if (!socket.writable || reply?.headersSent || reply?.req.complete) socket.destroy();
    else refuse(socket, protocolFailure(error.code));
  });
  const late = (socket: Socket) => refuse(socket, new AppError('request_timeout'));
  return { server, plain: new PlainConnections(server, answers, config, late) };
}

/**
 * Behind another request it does not have the connection to itself yet: it would say so in the middle of the other's
 * reply.
 */
function continueWhenFirst(outgoing: ServerResponse): void {
  if (outgoing.socket !== null) outgoing.writeContinue();
  else
    outgoing.once('socket', () => {
      if (!outgoing.headersSent) outgoing.writeContinue();
    });
}

/** Where there is no request to reply to. */
function refuse(socket: Socket, failure: AppError): void {
  const body = JSON.stringify(errorBody(failure));
  socket.end(
    `HTTP/1.1 ${failure.status} ${http.STATUS_CODES[failure.status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function protocolFailure(code: string | undefined): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new AppError('request_timeout');
  if (code === 'HPE_HEADER_OVERFLOW')
    return new AppError('invalid_value', { status: 431, message: 'The request headers are too large.' });
  return new AppError('invalid_value', { message: 'The request is not valid HTTP/1.1.' });
}

/** Two hosts, or none, and the parts on the way may each believe in another one. HTTP/1.0 may leave it out. */
function hasOneHost(incoming: IncomingMessage): boolean {
  const { rawHeaders, headers } = incoming;
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === 'host') hosts++;
  if (hosts === 0 && incoming.httpVersion === '1.0') {
    headers.host = 'localhost';
    return true;
  }
  return hosts === 1 && isHost(headers.host);
}

function refuseRequest(outgoing: ServerResponse, reason: Pick<AppErrorOptions, 'status' | 'message'>): void {
  const error = new AppError('invalid_value', reason);
  outgoing.writeHead(error.status, { 'content-type': 'application/json', connection: 'close' });
  outgoing.end(JSON.stringify(errorBody(error)));
}

/** Also for a running server, where it concerns connections that come later. */
export function limitTimes(server: Server, { listen: { requestTimeoutMs } }: Config): void {
  server.headersTimeout = requestTimeoutMs;
  server.requestTimeout = requestTimeoutMs;
}

/**
 * @param onError Told of connections that cannot be accepted later on, as when file descriptors have run out.
 * @throws Error that names the remedy, if the address cannot be bound.
 */
export function listen(
  server: Server,
  { listen: { host, port } }: Config,
  onError: (error: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) => reject(new Error(whyNot(error, host, port)));
    server.once('error', refused);
    server.listen({ host, port, backlog: MAX_UNACCEPTED }, () => {
      server.off('error', refused).on('error', onError);
      resolve();
    });
  });
}

function whyNot({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken. Stop what uses it, or choose another with --port.`;
    case 'EACCES':
      return `This user may not listen on port ${port}. Choose one above 1023 with --port.`;
    case 'EADDRNOTAVAIL':
      return `This machine has no address ${host}. Set listen.host to one that it has, or to 0.0.0.0 for all of them.`;
    case 'ENOTFOUND':
      return `There is no host ${host}. Correct listen.host.`;
    default:
      return `Cannot listen on ${host}:${port}: ${message}`;
  }
}
