import type { PauseListener, Relay, RelaySink } from '../../core/backend.ts';
import { AppError } from '../../core/error.ts';
import { isJsonType } from '../../core/json-type.ts';
import type { Observation } from '../../core/observation.ts';
import { skipSpace } from '../../core/skim.ts';
import { errorToldBy } from '../errors/error-within.ts';
import { type Secrets, withoutKey } from '../errors/secrets.ts';
import { unexpectedReply } from '../errors/server-faults.ts';
import type { Exchange, Reader, ResponseHead } from '../http/exchange.ts';
import { MarkFilter } from '../tap/byte-order-mark.ts';
import { encodingOf, isPlain } from './content-encoding.ts';
import { leaveEvent } from './large-events.ts';
import { readBeginning } from './read-beginning.ts';
import { readRefusal } from './read-refusal.ts';

/** What a reply tells its upstream, and needs from it. */
export interface ReplyHost {
  readonly secrets: Secrets;
  readonly now: () => number;
  /** The first byte of a good reply is there. */
  answered(): void;
  /** Of a failure before anything was delivered: what there is in place of the reply, if anything. */
  instead(failure: AppError): Promise<Relay> | undefined;
  /** Called once. @param status Undefined: not even the head has come. */
  ended(failure: AppError | undefined, status: number | undefined): void;
}

const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** Of servers that have not thought about it: they tell nothing. */
const NO_TYPES: ReadonlySet<string> = new Set(['', 'text/plain', 'application/octet-stream']);

/**
 * The answer to one request on its way to a sink. Until `begun` resolves nothing has been delivered, so a failure up to
 * there may be retried elsewhere; it rejects `begun`. Later ones reject `pump`, after what came before was written.
 *
 *   waiting ──▶ begun ──▶ pumped to the end
 *      └──────────┴─────▶ failed
 */
export abstract class Reply implements Relay, Reader {
  abstract readonly observation: Observation;
  readonly begun: Promise<Relay>;
  status = 0;
  contentType = '';
  contentLength: number | undefined;
  pauses: PauseListener | undefined;
  protected readonly host: ReplyHost;
  protected isBegun = false;
  protected earlyBytes = 0;
  readonly #wantedType: string;
  readonly #begun: PromiseWithResolvers<Relay>;
  #exchange: Exchange | undefined;
  #early: Buffer[] = [];
  #isOver = false;
  #failure: AppError | undefined;
  #sink: RelaySink | undefined;
  #isFull = false;
  #pumped: PromiseWithResolvers<void> | undefined;

  constructor(host: ReplyHost, wantedType: string) {
    this.host = host;
    this.#wantedType = wantedType;
    this.#begun = Promise.withResolvers<Relay>();
    this.begun = this.#begun.promise;
  }

  abstract onData(chunk: Buffer): void;
  abstract onEnd(): void;

  onHead(exchange: Exchange, head: ResponseHead): void {
    const { status, headers } = head;
    this.#exchange = exchange;
    this.status = status;
    if (status > 299) {
      readRefusal(exchange, head, this.host.secrets, (error) => this.onFailure(error));
      return;
    }
    this.contentType = headers.get('content-type') ?? '';
    if (!this.contentType.toLowerCase().startsWith(this.#wantedType)) {
      if (!this.mayBe(this.contentType)) {
        this.#refuseType(exchange, head);
        return;
      }
      // The content will show.
      this.contentType = this.#wantedType;
    }
    const encoding = encodingOf(headers);
    if (!isPlain(encoding))
      exchange.fail(unexpectedReply(`content encoding ${JSON.stringify(encoding)}, which nobody asked for`));
  }

  onFailure(error: AppError): void {
    this.finish(error);
  }

  /** Whether the content may be what is wanted, though its type is another. */
  protected mayBe(contentType: string): boolean {
    return saysNothing(contentType);
  }

  #refuseType(exchange: Exchange, head: ResponseHead): void {
    const what = `HTTP ${this.status} with content type ${JSON.stringify(this.contentType)}`;
    if (!isJsonType(this.contentType)) {
      exchange.fail(unexpectedReply(what));
      return;
    }
    const { secrets } = this.host;
    const refuse = (text: string) =>
      this.onFailure(errorToldBy(text, what, secrets) ?? unexpectedReply(what));
    if (isPlain(encodingOf(head.headers))) this.#lookAt(exchange, head, refuse);
    else readBeginning(exchange, head, refuse);
  }

  /**
   * In place of a stream may come an error that has status 200, and says more than its type does; or the stream
   * itself, as proxies have it that give one type to all that they pass on (those of vLLM's examples).
   */
  #lookAt(exchange: Exchange, head: ResponseHead, refuse: (text: string) => void): void {
    const mark = new MarkFilter();
    exchange.handOver({
      onHead() {},
      onData: (read) => {
        const chunk = mark.push(read);
        const first = chunk[skipSpace(chunk, 0)];
        if (first === undefined) return;
        if (first === OPEN_BRACE || first === OPEN_BRACKET) {
          readBeginning(exchange, head, refuse, chunk);
          return;
        }
        this.contentType = this.#wantedType;
        exchange.handOver(this);
        this.onData(chunk);
      },
      onEnd: () => refuse(''),
      onFailure: (error) => this.onFailure(error),
    });
  }

  get whole(): Buffer | undefined {
    if (!this.#isOver || this.#failure !== undefined || this.#sink !== undefined) return undefined;
    return this.#early.length === 1 ? this.#early[0] : Buffer.concat(this.#early);
  }

  /** To be called once. */
  pump(sink: RelaySink): Promise<void> {
    this.#sink = sink;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) this.#write(early.length === 1 ? early[0]! : Buffer.concat(early));
    const pumped = Promise.withResolvers<void>();
    if (!this.#isOver) {
      this.#pumped = pumped;
      if (!this.#isFull) this.#exchange?.release();
    } else if (this.#failure === undefined) pumped.resolve();
    else pumped.reject(this.#failure);
    return pumped.promise;
  }

  protected forward(bytes: Buffer): void {
    if (this.#sink === undefined) {
      this.#early.push(bytes);
      this.earlyBytes += bytes.length;
    } else {
      this.#write(bytes);
    }
  }

  /** Of what has not been delivered. */
  protected replaceEarly(bytes: Buffer): void {
    this.#early = [bytes];
    this.earlyBytes = bytes.length;
  }

  /** From here on what happens concerns the pump; until it runs, the upstream waits. */
  protected begin(): void {
    this.isBegun = true;
    if (!this.#isOver) this.#exchange?.hold();
    this.host.answered();
    this.#begun.resolve(this);
  }

  /** The upstream waits until `goOn`. */
  protected wait(): void {
    this.#exchange?.hold();
  }

  /** Unless it waits for something else, too. */
  goOn(): void {
    if (this.#isFull || (this.isBegun && this.#sink === undefined)) return;
    this.#exchange?.release();
  }

  /** The last byte has come, or cannot come. */
  protected finish(reason?: AppError): void {
    if (this.#isOver) return;
    const failure = reason && withoutKey(reason, this.host.secrets);
    this.#isOver = true;
    this.#failure = failure;
    if (!this.isBegun) {
      if (failure === undefined) this.begin();
      else this.#failToBegin(failure);
    }
    this.host.ended(failure, this.status === 0 ? undefined : this.status);
    if (failure === undefined) this.#pumped?.resolve();
    else this.#pumped?.reject(failure);
  }

  #failToBegin(failure: AppError): void {
    const instead = this.host.instead(failure);
    if (instead === undefined) this.#begun.reject(failure);
    else this.#begun.resolve(instead);
  }

  /** Ends a reply that is no good, and its connection with it. */
  protected breakOff(failure: AppError): void {
    this.finish(failure);
    this.#exchange?.fail(failure);
  }

  protected get isOver(): boolean {
    return this.#isOver;
  }

  /** Whatever the limits say, the exchange ends within `graceMs`. */
  protected expire(graceMs: number): void {
    this.#exchange?.expire(graceMs);
  }

  /** Whatever may still come is of no interest. */
  protected letGo(graceMs: number): void {
    this.#exchange?.discard(graceMs);
  }

  #write(bytes: Buffer): void {
    const sink = this.#sink!;
    try {
      this.#isFull = !sink.write(bytes);
    } catch (error) {
      this.breakOff(AppError.from(error));
      return;
    }
    if (this.#isFull) this.#waitForRoom(sink, bytes.length);
  }

  /** Not part of `#write`, which would then have to make room for this closure's variables with every chunk. */
  #waitForRoom(sink: RelaySink, writtenBytes: number): void {
    leaveEvent(sink, writtenBytes);
    if (this.#isOver) return;
    this.#exchange?.hold();
    this.pauses?.paused();
    const resume = () => {
      this.#isFull = false;
      if (this.#isOver) return;
      this.pauses?.resumed();
      this.#exchange?.release();
    };
    sink.drained().then(resume, resume);
  }
}

function saysNothing(contentType: string): boolean {
  const [mediaType = ''] = contentType.split(';', 1);
  return NO_TYPES.has(mediaType.trim().toLowerCase());
}
