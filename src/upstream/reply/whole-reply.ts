import { isJsonType } from '../../core/json-type.ts';
import type { Observation } from '../../core/observation.ts';
import type { Exchange, ResponseHead } from '../http/exchange.ts';
import { MarkFilter } from '../tap/byte-order-mark.ts';
import { PARSED_BYTES, type WholeExpectations, WholeTap } from '../tap/whole-tap.ts';
import { NumberFilter } from '../wire/not-a-number.ts';
import { Reply, type ReplyHost } from './reply.ts';

/** A reply without `stream` counts as begun when it is complete, or this much of it is there. */
const BEGUN_BYTES = PARSED_BYTES;

/** One JSON object. */
export class WholeReply extends Reply {
  readonly #tap: WholeTap;
  readonly #mark = new MarkFilter();
  readonly #numbers: NumberFilter | undefined;
  /**
   * What came last waits until it is known whether something is missing: a client that had got all that was announced would
   * take it for the whole.
   */
  #last: Buffer | undefined;
  /** Its beginning has been looked at: it begins once the same read has been, too. */
  #isBeginning = false;

  /**
   * @param options `hasLogprobs`: of those some are no numbers, as of embeddings where a model has overflown.
   */
  constructor(
    host: ReplyHost,
    options: Omit<WholeExpectations, 'secrets'> & { readonly hasLogprobs: boolean },
  ) {
    super(host, 'application/json');
    if (options.hasLogprobs || !options.isGeneration) this.#numbers = new NumberFilter();
    this.#tap = new WholeTap(host.now, { ...options, secrets: host.secrets });
  }

  get observation(): Observation {
    return this.#tap.observation;
  }

  override onHead(exchange: Exchange, head: ResponseHead): void {
    super.onHead(exchange, head);
    const length = Number.parseInt(head.headers.get('content-length') ?? '', 10);
    if (!Number.isNaN(length) && this.#numbers === undefined) this.contentLength = length;
  }

  protected override mayBe(contentType: string): boolean {
    return super.mayBe(contentType) || isJsonType(contentType);
  }

  onData(read: Buffer): void {
    const marked = this.#mark.push(read);
    const chunk = this.#numbers?.push(marked) ?? marked;
    if (chunk.length === 0) return;
    this.#tap.push(chunk);
    if (this.#last !== undefined) this.forward(this.#last);
    this.#last = chunk;
    if (this.isBegun || this.#isBeginning || this.earlyBytes + chunk.length < BEGUN_BYTES) return;
    const failure = this.#tap.readBeginning();
    if (failure === undefined) {
      this.#isBeginning = true;
      queueMicrotask(() => this.#beginUnfinished());
    } else this.breakOff(failure);
  }

  /**
   * What the same read brought has all been looked at: had it ended the reply, or shown it to be broken, the client
   * would not get a part of it.
   */
  #beginUnfinished(): void {
    if (this.isOver) return;
    if (this.contentLength !== undefined) this.contentLength -= this.#mark.leftOutBytes;
    this.begin();
  }

  onEnd(): void {
    const failure = this.#tap.end();
    if (failure === undefined && this.#last !== undefined) this.forward(this.#last);
    if (!this.isBegun) {
      if (this.#tap.mended !== undefined) this.replaceEarly(this.#tap.mended);
      this.contentLength = this.earlyBytes;
    }
    this.finish(failure);
  }
}
