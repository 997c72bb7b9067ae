import type { Observation } from '../core/observation.ts';
import type { Exchange, ResponseHead } from './exchange.ts';
import { Reply, type ReplyHost } from './reply.ts';
import { WholeTap } from './whole-tap.ts';

/** A reply without `stream` counts as begun when it is complete, or this much of it is there. */
const BEGUN_BYTES = 64 * 1024;

/** One JSON object. */
export class WholeReply extends Reply {
  readonly #tap: WholeTap;

  /** @param options `isGeneration`: it has to have choices. */
  constructor(host: ReplyHost, options: { readonly isGeneration: boolean }) {
    super(host, 'application/json');
    this.#tap = new WholeTap(host.now, options);
  }

  get observation(): Observation {
    return this.#tap.observation;
  }

  override onHead(exchange: Exchange, head: ResponseHead): void {
    super.onHead(exchange, head);
    const length = Number.parseInt(head.headers.get('content-length') ?? '', 10);
    if (!Number.isNaN(length)) this.contentLength = length;
  }

  onData(chunk: Buffer): void {
    this.#tap.push(chunk);
    this.forward(chunk);
    if (this.isBegun || this.earlyBytes < BEGUN_BYTES) return;
    const failure = this.#tap.readBeginning();
    if (failure === undefined) this.begin();
    else this.breakOff(failure);
  }

  onEnd(): void {
    if (!this.isBegun) this.contentLength = this.earlyBytes;
    this.finish(this.#tap.end());
  }
}
