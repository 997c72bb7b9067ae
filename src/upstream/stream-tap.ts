import { AppError } from '../core/error.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import { EventSplitter, eventData } from './event-splitter.ts';
import { asWire, choicesOf, errorOf, finishReasonOf, hasContent, usageOf, type Wire } from './wire-chunk.ts';

const DATA = Buffer.from('data:');
const CHOICES = Buffer.from('"choices"');
// The key `"finish_reason"`, searched for from its rarest byte on: quotes stand everywhere, and each would stop the search.
const FINISH = Buffer.from('"finish');
const REASON = Buffer.from('_reason"');
const CONTENT_KEYS = ['"content":"', '"content": "', '"text":"', '"text": "'].map((key) => Buffer.from(key));

const QUOTE = 0x22;
const SPACE = 0x20;
const COLON = 0x3a;
const LOWER_N = 0x6e;

/** One per choice index is enough; beyond that every event is parsed. */
const MAX_SHAPES = 8;
const MAX_SHAPE_BYTES = 128;

/**
 * The bytes from `"choices"` to the first character of the text, and where in the event they lie: the same in every
 * content event of a choice.
 */
interface Shape {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * Watches an OpenAI event stream go by. Returns what may go on to the client: whole events as they came, so that an
 * error event of our own always begins where one may begin. Held back are error events (they may tell internals), the
 * usage event of a client that did not ask for it, and whatever comes after `[DONE]`.
 *
 * Nearly all events are one more piece of text. Those are known by their shape, a comparison of a few dozen bytes, and
 * by a finish reason that is null; only the others are parsed.
 */
export class StreamTap {
  readonly observation: Observation = newObservation();
  /** Set when the stream must end here with an error; what `push` returned came before it. */
  failure: AppError | undefined;
  /** `[DONE]` was seen. */
  done = false;
  readonly #hideUsage: boolean;
  readonly #splitter = new EventSplitter();
  readonly #ends: number[] = [];
  readonly #shapes: Shape[] = [];
  /** Where in the present block the next `_reason"` stands, so that no stretch is searched twice. */
  #reasonAt = -1;

  constructor(options: { hideUsage: boolean }) {
    this.#hideUsage = options.hideUsage;
  }

  /** @param readAtMs When the bytes came in, on the clock of `Observation`. */
  push(bytes: Buffer, readAtMs: number): Buffer | undefined {
    if (this.done || this.failure !== undefined) return undefined;
    let block: Buffer | undefined;
    try {
      block = this.#splitter.push(bytes, this.#ends);
    } catch (error) {
      this.failure = AppError.from(error);
      // Events that ended in the same read are lost with it: the stream is broken anyway.
      return undefined;
    }
    if (block === undefined) return undefined;

    this.#reasonAt = -1;
    const seenBefore = this.observation.contentEvents;
    const kept: Buffer[] = [];
    let keptFrom = 0;
    let start = 0;
    for (const end of this.#ends) {
      if (!this.#isPlainText(block, start, end) && !this.#inspect(block.subarray(start, end))) {
        if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
        keptFrom = end;
      }
      start = end;
      if (this.done || this.failure !== undefined) break;
    }
    if (this.observation.contentEvents > seenBefore) {
      this.observation.firstTokenAtMs ??= readAtMs;
      this.observation.lastTokenAtMs = readAtMs;
    }
    if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
    return kept.length > 1 ? Buffer.concat(kept) : kept[0];
  }

  /** The body has ended. @returns Why that is too early, if it is. */
  end(): AppError | undefined {
    if (this.failure !== undefined || this.done) return this.failure;
    this.failure = brokenStream('the stream ended without [DONE]');
    return this.failure;
  }

  #isPlainText(block: Buffer, start: number, end: number): boolean {
    for (const { offset, bytes } of this.#shapes) {
      const textAt = start + offset + bytes.length;
      if (textAt >= end || block[textAt] === QUOTE) continue;
      if (!matches(block, start + offset, bytes) || !matches(block, start, DATA)) continue;
      if (this.#finishes(block, textAt, end)) return false;
      this.observation.contentEvents += 1;
      return true;
    }
    return false;
  }

  /**
   * A finish reason other than null stands between `from` and `end`. Inside a JSON string the quotes of the key would be
   * escaped, so text that talks about finish reasons does not match.
   */
  #finishes(block: Buffer, from: number, end: number): boolean {
    if (this.#reasonAt < from) this.#findReason(block, from);
    while (this.#reasonAt < end) {
      let at = this.#reasonAt;
      const isKey = matches(block, at - FINISH.length, FINISH);
      at += REASON.length;
      this.#findReason(block, at);
      if (!isKey) continue;
      while (block[at] === SPACE) at += 1;
      if (block[at] !== COLON) continue;
      at += 1;
      while (block[at] === SPACE) at += 1;
      if (block[at] !== LOWER_N) return true;
    }
    return false;
  }

  #findReason(block: Buffer, from: number): void {
    const at = block.indexOf(REASON, from);
    this.#reasonAt = at < 0 ? Number.POSITIVE_INFINITY : at;
  }

  /** @returns Whether the event may go on to the client. */
  #inspect(event: Buffer): boolean {
    const data = eventData(event);
    if (data === undefined || data === '') return true;
    if (data === '[DONE]') return this.#finishStream();
    let chunk: Wire;
    try {
      chunk = asWire(JSON.parse(data));
    } catch {
      this.failure = brokenStream(`an event that is not JSON: ${data.slice(0, 200)}`);
      return false;
    }
    const error = errorOf(chunk);
    if (error !== undefined) {
      this.failure = brokenStream(`an error event: ${JSON.stringify(error).slice(0, 500)}`);
      return false;
    }
    const choices = choicesOf(chunk);
    const usage = usageOf(chunk);
    if (usage !== undefined) this.observation.usage = usage;
    let content = false;
    for (const choice of choices) {
      content ||= hasContent(choice);
      const reason = finishReasonOf(choice);
      if (reason !== undefined) this.observation.finishReasons.push(reason);
    }
    if (content) {
      this.observation.contentEvents += 1;
      if (choices.length === 1) this.#learnShape(event);
    }
    return !(this.#hideUsage && usage !== undefined && choices.length === 0);
  }

  #finishStream(): boolean {
    if (this.observation.finishReasons.length === 0) {
      this.failure = brokenStream('the stream ended without a finish reason');
      return false;
    }
    this.done = true;
    return true;
  }

  #learnShape(event: Buffer): void {
    // More than one line after `data:` needs the parser.
    if (this.#shapes.length >= MAX_SHAPES || event.indexOf(0x0a) < event.length - 3) return;
    const offset = event.indexOf(CHOICES);
    if (offset < 0) return;
    for (const key of CONTENT_KEYS) {
      const keyAt = event.indexOf(key, offset);
      const length = keyAt + key.length - offset;
      if (keyAt < 0 || length > MAX_SHAPE_BYTES) continue;
      this.#shapes.push({ offset, bytes: Buffer.from(event.subarray(offset, offset + length)) });
      return;
    }
  }
}

function brokenStream(detail: string): AppError {
  return new AppError('upstream_error', { cause: new Error(detail) });
}

function matches(block: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i += 1) {
    if (block[at + i] !== bytes[i]) return false;
  }
  return true;
}
