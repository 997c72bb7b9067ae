import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawReply {
  readonly status: number;
  /** Names in lower case; of a repeated header, the last. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it was framed: each HTTP chunk, or one piece for a body with a length. */
  readonly chunks: readonly string[];
  readonly body: string;
}

/** One TCP connection on which a test writes what it likes. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
    });
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** A request with a JSON body and the headers given. */
  post(path: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): void {
    const all = {
      host: 'localhost',
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.send(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    this.send(body);
  }

  /** What has come in and is not yet taken by `reply`. */
  get received(): string {
    return this.#received.toString();
  }

  /** Waits until `found` is true of what has come in. */
  async until(what: string, found: (received: string) => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!found(this.received)) {
      if (this.#ended) throw new Error(`the connection ended before ${what}: ${this.received.slice(0, 500)}`);
      if (performance.now() > deadline) throw new Error(`no ${what}: ${this.received.slice(0, 500)}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Takes the next whole reply. `withBody` false: to a HEAD request. */
  async reply(withBody = true): Promise<RawReply> {
    await this.until('headers', (text) => text.includes('\r\n\r\n'));
    const headEnd = this.#received.indexOf('\r\n\r\n');
    const [statusLine = '', ...headerLines] = this.#received.subarray(0, headEnd).toString().split('\r\n');
    const headers = Object.fromEntries(
      headerLines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    this.#received = this.#received.subarray(headEnd + 4);
    const chunks: string[] = [];
    if (headers['transfer-encoding'] === 'chunked') {
      for (let chunk = await this.#chunk(); chunk !== ''; chunk = await this.#chunk()) chunks.push(chunk);
    } else if (withBody) {
      chunks.push(await this.#bytes(Number(headers['content-length'] ?? 0)));
    }
    return { status: Number(statusLine.split(' ')[1]), headers, chunks, body: chunks.join('') };
  }

  close(): void {
    this.socket.destroy();
  }

  async #chunk(): Promise<string> {
    await this.until('chunk size', (text) => text.includes('\r\n'));
    const lineEnd = this.#received.indexOf('\r\n');
    const size = Number.parseInt(this.#received.subarray(0, lineEnd).toString(), 16);
    this.#received = this.#received.subarray(lineEnd + 2);
    const chunk = await this.#bytes(size);
    await this.#bytes(2);
    return chunk;
  }

  async #bytes(count: number): Promise<string> {
    await this.until(`${count} bytes`, () => this.#received.length >= count);
    const taken = this.#received.subarray(0, count).toString();
    this.#received = this.#received.subarray(count);
    return taken;
  }
}
