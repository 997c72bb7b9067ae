import type { IncomingMessage } from 'node:http';
import { releaseBody } from '../../core/body-memory.ts';
import { AppError } from '../../core/error.ts';
import { BodyCollector, bodyTooLarge } from './body-collector.ts';
import type { Incoming } from './incoming.ts';

/** A request that Node's server has read. */
export class NodeIncoming implements Incoming {
  readonly #message: IncomingMessage;
  #body: Buffer | undefined;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  get url(): string {
    return this.#message.url ?? '';
  }

  header(name: string): string | undefined {
    return this.#message.headers[name] as string | undefined;
  }

  body(maxBytes: number): Promise<Buffer> {
    const message = this.#message;
    const declaredBytes = Number(message.headers['content-length'] ?? 0);
    if (declaredBytes > maxBytes) return Promise.reject(bodyTooLarge(maxBytes));
    return new Promise<Buffer>((resolve, reject) => {
      const collector = new BodyCollector(declaredBytes);
      const stop = () => {
        message.off('data', onData);
        message.off('end', onEnd);
        message.off('close', onClose);
      };
      const onData = (chunk: Buffer) => {
        collector.push(chunk);
        if (collector.bytes <= maxBytes) return;
        stop();
        reject(bodyTooLarge(maxBytes));
      };
      const onEnd = () => {
        stop();
        this.#body = collector.whole();
        resolve(this.#body);
      };
      const onClose = () => {
        stop();
        reject(new AppError('client_closed'));
      };
      message.on('data', onData);
      message.on('end', onEnd);
      message.on('close', onClose);
      message.on('error', onClose);
    });
  }

  release(): void {
    if (this.#body !== undefined) releaseBody(this.#body);
    this.#body = undefined;
  }

  discard(ended: () => void): void {
    this.#message.once('close', ended).resume();
  }
}
