import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface HubRequestSeen {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** How the fake behaves; every field may be changed between requests. */
interface HubBehaviour {
  content: Buffer;
  /** The storage's validator. Changes when the content does, unless a test says otherwise. */
  etag: string | undefined;
  /** What the hub states about the file; null leaves the header out. */
  linkedEtag: string | null | undefined;
  /** Answers the hub's address with this status instead of sending to the storage. */
  status: number | undefined;
  /** Cuts the connection after so many bytes of the body, once. */
  cutAfterBytes: number | undefined;
  /** Ends the body early after so many bytes without any error: chunked, so that no length contradicts it. */
  shortAfterBytes: number | undefined;
  /** Never sends more than so many bytes until the client leaves. */
  stallAfterBytes: number | undefined;
  /** How often the hub redirects before the storage answers. */
  redirects: number;
  /** Where the last redirect goes; default: the storage on another loopback port. */
  location: string | undefined;
}

export interface FakeHub {
  readonly url: string;
  readonly behaviour: HubBehaviour;
  readonly hubRequests: HubRequestSeen[];
  readonly storageRequests: HubRequestSeen[];
  close(): Promise<void>;
}

/** A Hugging Face style hub on loopback: an address that redirects, with the digest, to a storage on another origin. */
export async function startFakeHub(content: Buffer): Promise<FakeHub> {
  const behaviour: HubBehaviour = {
    content,
    etag: undefined,
    linkedEtag: undefined,
    status: undefined,
    cutAfterBytes: undefined,
    shortAfterBytes: undefined,
    stallAfterBytes: undefined,
    redirects: 1,
    location: undefined,
  };
  const hubRequests: HubRequestSeen[] = [];
  const storageRequests: HubRequestSeen[] = [];

  const storage = createServer((request, response) => {
    storageRequests.push(seen(request));
    serveContent(behaviour, request, response);
  });
  const storageUrl = await listen(storage);
  const hub = createServer((request, response) => {
    hubRequests.push(seen(request));
    const hop = Number(new URL(request.url ?? '/', 'http://h').searchParams.get('hop') ?? 0);
    if (behaviour.status !== undefined) response.writeHead(behaviour.status).end();
    else if (behaviour.redirects === 0) serveContent(behaviour, request, response);
    else if (hop < behaviour.redirects - 1) response.writeHead(302, { location: `?hop=${hop + 1}` }).end();
    else {
      const linked =
        behaviour.linkedEtag === undefined ? `"${sha256(behaviour.content)}"` : behaviour.linkedEtag;
      const headers = linked === null ? {} : { 'x-linked-etag': linked };
      response.writeHead(302, { ...headers, location: behaviour.location ?? `${storageUrl}/blob` }).end();
    }
  });
  const url = await listen(hub);
  return {
    url,
    behaviour,
    hubRequests,
    storageRequests,
    async close() {
      for (const server of [hub, storage]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
}

function serveContent(behaviour: HubBehaviour, request: IncomingMessage, response: ServerResponse): void {
  const { content } = behaviour;
  const etag = behaviour.etag ?? `"${sha256(content).slice(0, 32)}"`;
  const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const validator = request.headers['if-range'];
  const start = match && (validator === undefined || validator === etag) ? Number(match[1]) : 0;
  const partial = start > 0 || (match !== null && match[1] === '0');
  if (start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(start);
  const limit = behaviour.cutAfterBytes ?? behaviour.shortAfterBytes ?? behaviour.stallAfterBytes;
  response.writeHead(partial ? 206 : 200, {
    etag,
    ...(behaviour.shortAfterBytes === undefined ? { 'content-length': body.length } : {}),
    ...(partial ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
  });
  if (limit === undefined || limit >= body.length) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, limit), () => {
    if (behaviour.cutAfterBytes !== undefined) {
      behaviour.cutAfterBytes = undefined;
      response.destroy();
    } else if (behaviour.shortAfterBytes !== undefined) response.end();
  });
}

function seen(request: IncomingMessage): HubRequestSeen {
  const { range, authorization } = request.headers;
  return { path: request.url ?? '', range, authorization };
}

async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
