import { Buffer, isUtf8 } from 'node:buffer';
import { AppError } from '../../core/error.ts';
import type { Observation } from '../../core/observation.ts';
import { MarkFilter } from './byte-order-mark.ts';
import { EventInspector, type StreamExpectations } from './event-inspector.ts';
import { EventSplitter } from './event-splitter.ts';
import { LineEnds } from './line-ends.ts';
import { LongValue } from './long-value.ts';
import { PlainEvents } from './plain-events.ts';
import { withoutNullUsage } from './told-usage.ts';

const NOTHING = Buffer.alloc(0);
const EVENT_END = Buffer.from('\n\n');
/** Of an event that is held: above, it may be that some of it goes on. */
const USUAL_HELD_BYTES = 1024 * 1024;

/**
 * Watches an OpenAI event stream go by. Returns what may go on to the client: whole events as they came, so that an
 * error event of our own always begins where one may begin. What `EventInspector` keeps back does not go on, nor does what
 * comes after `[DONE]`.
 *
 * Nearly all events are one more piece of text. Those are known by their bytes (`PlainEvents`); only the others are parsed.
 */
export class StreamTap {
  readonly observation: Observation;
  readonly #hideUsage: boolean;
  readonly #inspector: EventInspector;
  readonly #mark = new MarkFilter();
  readonly #lineEnds = new LineEnds();
  readonly #splitter = new EventSplitter();
  readonly #ends: number[] = [];
  readonly #plain = new PlainEvents();
  /** Is on its way to the client. */
  #value: LongValue | undefined;
  /** Of the unfinished event so much has gone to the client, in the shortened form. */
  #goneBytes = 0;
  /** Of the unfinished event nothing may go on. */
  #isKept = false;
  /** Lines end as usual, and no event is unfinished: most reads then concern nobody but `#plain`. */
  #isCalm = false;

  constructor(expected: StreamExpectations) {
    this.#hideUsage = expected.hideUsage;
    this.#inspector = new EventInspector(expected, this.#plain);
    this.observation = this.#inspector.observation;
  }

  /** Set when the stream must end here with an error; what `push` returned came before it. */
  get failure(): AppError | undefined {
    return this.#inspector.failure;
  }

  /** `[DONE]` was seen. */
  get done(): boolean {
    return this.#inspector.done;
  }

  /** Of an event that has not ended yet. */
  get heldBytes(): number {
    return this.#splitter.heldBytes;
  }

  /** Nothing is missing but `[DONE]`: all choices have finished, and the usage has come. */
  get isComplete(): boolean {
    return this.#isFinished && this.observation.usage !== undefined;
  }

  /** Whatever is missing, it is nothing that the client waits for. */
  get isServed(): boolean {
    return this.#isFinished && (this.#hideUsage || this.observation.usage !== undefined);
  }

  /** @param readAtMs When they came in, on the clock of `Observation`. */
  push(read: Buffer, readAtMs: number): Buffer | undefined {
    if (this.#inspector.isOver) return undefined;
    const bytes = this.#isCalm ? read : this.#lineEnds.push(this.#mark.push(read));
    if (bytes.length === 0) return undefined;
    if (this.#value !== undefined) return this.#pushValue(this.#value, bytes, readAtMs);
    const seenBefore = this.observation.contentEvents;
    const plainEnd = this.#isCalm || this.#splitter.heldBytes === 0 ? this.#skipPlain(bytes) : 0;
    let kept: Buffer | undefined = bytes;
    if (plainEnd < bytes.length) {
      kept = this.#pushRest(bytes, plainEnd);
      this.#isCalm = this.#lineEnds.areUsual && this.#splitter.heldBytes === 0;
    }
    if (this.observation.contentEvents > seenBefore) {
      this.observation.firstTokenAtMs ??= readAtMs;
      this.observation.lastTokenAtMs = readAtMs;
    }
    const shown = kept && this.#readable(kept);
    return this.#splitter.heldBytes > USUAL_HELD_BYTES ? this.#letGo(shown, readAtMs) : shown;
  }

  /**
   * The body has ended, and some servers leave out the blank line behind their last event.
   *
   * @returns What may go on to the client. Half an event may not.
   */
  pushEnd(readAtMs: number): Buffer | undefined {
    if (this.#inspector.isOver || this.heldBytes === 0) return undefined;
    const last = this.#splitter.push(EVENT_END, this.#ends)!;
    const passed = this.#restOf(this.#inspector.inspectLast(last));
    if (this.observation.contentEvents > 0) this.observation.firstTokenAtMs ??= readAtMs;
    return passed && this.#readable(passed);
  }

  /**
   * The body has ended.
   *
   * @returns Why that is too early, if it is.
   */
  end(): AppError | undefined {
    if (this.#isMidEvent && !this.#inspector.isOver)
      this.#inspector.failAs('the stream ended in the middle of an event');
    this.#inspector.end();
    return this.failure;
  }

  get #isFinished(): boolean {
    return !this.#isMidEvent && this.#inspector.isFinished;
  }

  /** A part of the event that has not ended is with the client. */
  get #isMidEvent(): boolean {
    return this.#value !== undefined || this.#goneBytes > 0;
  }

  /** @returns The offset past the plain events at the beginning. */
  #skipPlain(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      const end = this.#plain.match(bytes, at);
      if (end < 0) break;
      this.observation.contentEvents += 1;
      this.observation.replyBytes += this.#plain.textBytes(end - at);
      at = end;
    }
    return at;
  }

  #pushRest(bytes: Buffer, from: number): Buffer | undefined {
    const kept: Buffer[] = from > 0 ? [bytes.subarray(0, from)] : [];
    const rest = from > 0 ? bytes.subarray(from) : bytes;
    let block: Buffer | undefined;
    try {
      block = this.#splitter.push(this.#isCalm ? this.#lineEnds.push(rest) : rest, this.#ends);
    } catch (error) {
      this.#inspector.failure = AppError.from(error);
      // Events that ended in the same read are lost with it: the stream is broken anyway.
      return kept[0];
    }
    if (block === undefined) return kept[0];
    this.#isKept = false;
    let keptFrom = 0;
    let start = 0;
    for (const end of this.#ends) {
      const isPlain = this.#goneBytes === 0 && this.#plain.match(block, start) === end;
      if (isPlain) {
        this.observation.contentEvents += 1;
        this.observation.replyBytes += this.#plain.textBytes(end - start);
      } else {
        const event = block.subarray(start, end);
        const passed = this.#restOf(this.#inspector.inspect(event));
        if (passed !== event) {
          if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
          if (passed !== undefined) kept.push(passed);
          keptFrom = end;
        }
      }
      start = end;
      if (this.#inspector.isOver) break;
    }
    if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
    return kept.length > 1 ? Buffer.concat(kept) : kept[0];
  }

  /** Of an event whose beginning has gone to the client already, what follows is the rest. */
  #restOf(passed: Buffer | undefined): Buffer | undefined {
    if (this.#goneBytes === 0) return passed;
    if (passed === undefined) {
      if (!this.#inspector.isOver) this.#inspector.failAs('an event that only begins as a piece of a reply');
      return undefined;
    }
    const rest = passed.subarray(this.#goneBytes);
    this.#goneBytes = 0;
    return rest;
  }

  /** The event has become large: what is known to be good of it need not wait for its end. */
  #letGo(before: Buffer | undefined, readAtMs: number): Buffer | undefined {
    if (this.#isKept) return before;
    const { held } = this.#splitter;
    const value = LongValue.in(held);
    this.#isKept = value === undefined;
    if (value === undefined) return before;
    this.#value = value;
    this.#splitter.replaceHeld(NOTHING);
    this.observation.firstTokenAtMs ??= readAtMs;
    const going = held.subarray(this.#goneBytes);
    this.#goneBytes = value.head.length;
    this.observation.replyBytes += held.length - value.head.length;
    return before === undefined ? going : Buffer.concat([before, going]);
  }

  #pushValue(value: LongValue, bytes: Buffer, readAtMs: number): Buffer | undefined {
    const end = value.end(bytes);
    if (end === undefined) return this.#inspector.failAs('a line that ends within a string');
    this.observation.replyBytes += end < 0 ? bytes.length : end;
    if (end < 0) return bytes;
    this.#value = undefined;
    this.#isCalm = false;
    const { shortened } = value;
    this.#goneBytes = shortened.length;
    this.#splitter.replaceHeld(shortened);
    const rest = this.push(bytes.subarray(end), readAtMs);
    const going = bytes.subarray(0, end);
    return rest === undefined ? going : Buffer.concat([going, rest]);
  }

  /** Some clients end with bytes that are not UTF-8, as of a character whose rest is in another token. */
  #readable(events: Buffer): Buffer {
    const shown = this.#inspector.hidesNulls ? withoutNullUsage(events) : events;
    return isUtf8(shown) ? shown : Buffer.from(shown.toString('utf8'));
  }
}
