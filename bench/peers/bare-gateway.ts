/**
 * The least that a gateway on Node can do: read the request, send its bytes to the upstream, pass the reply's bytes on
 * with backpressure. No parsing, no metrics, no deadlines. Usage: node bare-gateway.ts PORT UPSTREAM_ORIGIN
 */
import { createServer, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';

const [port, upstream] = process.argv.slice(2);
if (port === undefined || upstream === undefined)
  throw new Error('usage: bare-gateway.ts PORT UPSTREAM_ORIGIN');

const pool = new Pool(upstream, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0, allowH2: false });

const server = createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (incoming, outgoing) => {
  const pieces: Buffer[] = [];
  incoming.on('data', (piece: Buffer) => pieces.push(piece));
  incoming.on('end', () => {
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    const method = incoming.method as Dispatcher.HttpMethod;
    pool.dispatch(
      {
        method,
        path: incoming.url!,
        headers: ['content-type', 'application/json'],
        body: body.length > 0 ? body : null,
      },
      passOn(outgoing),
    );
  });
});
server.listen(Number(port), '127.0.0.1');

function passOn(outgoing: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      outgoing.once('close', () => {
        if (!outgoing.writableFinished) controller.abort(new Error('the client left'));
      });
      outgoing.on('drain', () => controller.resume());
    },
    onResponseStart(_controller, status, headers) {
      if (status < 200) return;
      const passed: Record<string, string> = {};
      for (const name of ['content-type', 'content-length', 'cache-control']) {
        const value = headers[name];
        if (typeof value === 'string') passed[name] = value;
      }
      outgoing.writeHead(status, passed);
    },
    onResponseData(controller, chunk) {
      if (!outgoing.write(chunk)) controller.pause();
    },
    onResponseEnd() {
      outgoing.end();
    },
    onResponseError() {
      outgoing.destroy();
    },
  };
}
