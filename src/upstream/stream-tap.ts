import { AppError } from '../core/error.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import { EventSplitter, readEvent } from './event-splitter.ts';
import { unexpectedReply } from './map-error.ts';
import { PlainEvents } from './plain-events.ts';
import { StreamBeginning } from './stream-beginning.ts';
import { asWire, choicesOf, errorOf, finishReasonOf, hasContent, usageOf, type Wire } from './wire-chunk.ts';

/**
 * Watches an OpenAI event stream go by. Returns what may go on to the client: whole events as they came, so that an
 * error event of our own always begins where one may begin. Held back are error events (they may tell internals), the
 * usage event of a client that did not ask for it, and whatever comes after `[DONE]`.
 *
 * Nearly all events are one more piece of text. Those are known by their bytes (`PlainEvents`); only the others are parsed.
 */
export class StreamTap {
  readonly observation: Observation = newObservation();
  /** Set when the stream must end here with an error; what `push` returned came before it. */
  failure: AppError | undefined;
  /** `[DONE]` was seen. */
  done = false;
  readonly #hideUsage: boolean;
  readonly #beginning = new StreamBeginning();
  readonly #splitter = new EventSplitter();
  readonly #ends: number[] = [];
  readonly #plain = new PlainEvents();
  /** Lines end as usual, and no event is unfinished: most reads then concern nobody but `#plain`. */
  #isCalm = false;

  constructor(options: { hideUsage: boolean }) {
    this.#hideUsage = options.hideUsage;
  }

  /** @param readAtMs When they came in, on the clock of `Observation`. */
  push(read: Buffer, readAtMs: number): Buffer | undefined {
    if (this.done || this.failure !== undefined) return undefined;
    const bytes = this.#isCalm ? read : this.#beginning.usual(read);
    if (bytes.length === 0) return undefined;
    const seenBefore = this.observation.contentEvents;
    const plainEnd = this.#isCalm || this.#splitter.heldBytes === 0 ? this.#skipPlain(bytes) : 0;
    let kept: Buffer | undefined = bytes;
    if (plainEnd < bytes.length) {
      kept = this.#pushRest(bytes, plainEnd);
      this.#isCalm = this.#beginning.isUsual && this.#splitter.heldBytes === 0;
    }
    if (this.observation.contentEvents > seenBefore) {
      this.observation.firstTokenAtMs ??= readAtMs;
      this.observation.lastTokenAtMs = readAtMs;
    }
    return kept;
  }

  /** The body has ended. @returns Why that is too early, if it is: not after a finish reason, though `[DONE]` be missing. */
  end(): AppError | undefined {
    if (!this.done && this.failure === undefined && this.observation.finishReasons.length === 0)
      this.failure = unexpectedReply('the stream ended without a finish reason');
    return this.failure;
  }

  /** Some servers never tell why a choice has ended: whoever says that all is done is believed, unless nothing came. @returns Whether it is. */
  #believeDone(): boolean {
    const { contentEvents, finishReasons } = this.observation;
    this.done = contentEvents > 0 || finishReasons.length > 0;
    if (!this.done) this.failure = unexpectedReply('the stream ended without a word of content');
    return this.done;
  }

  /** @returns The offset past the plain events at the beginning. */
  #skipPlain(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      const end = this.#plain.match(bytes, at);
      if (end < 0) break;
      this.observation.contentEvents += 1;
      at = end;
    }
    return at;
  }

  #pushRest(bytes: Buffer, from: number): Buffer | undefined {
    const kept: Buffer[] = from > 0 ? [bytes.subarray(0, from)] : [];
    let block: Buffer | undefined;
    try {
      block = this.#splitter.push(from > 0 ? bytes.subarray(from) : bytes, this.#ends);
    } catch (error) {
      this.failure = AppError.from(error);
      // Events that ended in the same read are lost with it: the stream is broken anyway.
      return kept[0];
    }
    if (block === undefined) return kept[0];
    let keptFrom = 0;
    let start = 0;
    for (const end of this.#ends) {
      const isPlain = this.#plain.match(block, start) === end;
      if (isPlain) {
        this.observation.contentEvents += 1;
      } else if (!this.#inspect(block.subarray(start, end))) {
        if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
        keptFrom = end;
      }
      start = end;
      if (this.done || this.failure !== undefined) break;
    }
    if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
    return kept.length > 1 ? Buffer.concat(kept) : kept[0];
  }

  /** @returns Whether the event may go on to the client. */
  #inspect(event: Buffer): boolean {
    const { type, data } = readEvent(event);
    if (data === undefined || data === '') return true;
    if (data.trim() === '[DONE]') return this.#believeDone();
    if (type === 'error') {
      this.failure = unexpectedReply(`an error event: ${data.slice(0, 500)}`);
      return false;
    }
    let chunk: Wire;
    try {
      chunk = asWire(JSON.parse(data));
    } catch {
      this.failure = unexpectedReply(`an event that is not JSON: ${data.slice(0, 200)}`);
      return false;
    }
    const error = errorOf(chunk);
    if (error !== undefined) {
      this.failure = unexpectedReply(`an error event: ${JSON.stringify(error).slice(0, 500)}`);
      return false;
    }
    const choices = choicesOf(chunk);
    const usage = usageOf(chunk);
    if (usage !== undefined) this.observation.usage = usage;
    let content = false;
    let finished = false;
    for (const choice of choices) {
      content ||= hasContent(choice);
      const reason = finishReasonOf(choice);
      if (reason === undefined) continue;
      finished = true;
      this.observation.finishReasons.push(reason);
    }
    if (content) {
      this.observation.contentEvents += 1;
      if (choices.length === 1 && !finished && usage === undefined) this.#plain.learn(event);
    }
    return !(this.#hideUsage && usage !== undefined && choices.length === 0);
  }
}
