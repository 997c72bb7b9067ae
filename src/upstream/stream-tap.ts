import { Buffer, isUtf8 } from 'node:buffer';
import { AppError } from '../core/error.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import { isWholeUsage } from '../core/plausible-usage.ts';
import type { Usage } from '../core/usage.ts';
import { MarkFilter } from './byte-order-mark.ts';
import { ChoiceEnds } from './choice-ends.ts';
import { errorWithin } from './error-within.ts';
import { EventSplitter } from './event-splitter.ts';
import { withoutNullUsage, withoutUsage } from './hide-usage.ts';
import { LineEnds } from './line-ends.ts';
import { withoutLongTexts } from './long-texts.ts';
import { LongValue } from './long-value.ts';
import { unexpectedReply } from './map-error.ts';
import { withNulls } from './not-a-number.ts';
import { PlainEvents } from './plain-events.ts';
import { keyless, NO_SECRETS, type Secrets } from './secrets.ts';
import { isErrorName, isSignOfLife, jsonEvent, readEvent } from './server-sent-event.ts';
import { asWire, choicesOf, errorOf, finishReasonOf, hasContent, indexOf, usageOf } from './wire-chunk.ts';

const DONE = '[DONE]';
const NOTHING = Buffer.alloc(0);
const EVENT_END = Buffer.from('\n\n');
/** Of an event that is held: above, it may be that some of it goes on. */
const USUAL_HELD_BYTES = 1024 * 1024;
/** Of what is no chunk, to operators. */
const MAX_TOLD_CHARS = 300;

/**
 * Watches an OpenAI event stream go by. Returns what may go on to the client: whole events as they came, so that an
 * error event of our own always begins where one may begin. Held back are error events (they may give away
 * internals), whatever is not a chunk (it could be an error in a shape that nobody knows), the usage of a client that did
 * not ask for it, also where it stands beside choices, and whatever comes after `[DONE]`. So are comments, which keep the
 * upstream's connection alive: the client's gets its own.
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
  readonly #secrets: Secrets;
  readonly #choices: ChoiceEnds;
  readonly #mark = new MarkFilter();
  readonly #lineEnds = new LineEnds();
  readonly #splitter = new EventSplitter();
  readonly #ends: number[] = [];
  readonly #plain = new PlainEvents();
  /** The beginning of what came last and is no chunk: of a stream without content it is all that there is to say. */
  #unknown = '';
  /** Chunks say that they have no usage, to a client that did not ask for any. */
  #hidesNulls = false;
  /** Is on its way to the client. */
  #value: LongValue | undefined;
  /** Of the unfinished event so much has gone to the client, in the shortened form. */
  #goneBytes = 0;
  /** Of the unfinished event nothing may go on. */
  #isKept = false;
  /** Lines end as usual, and no event is unfinished: most reads then concern nobody but `#plain`. */
  #isCalm = false;

  /** @param options `choices`: how many were asked for; default 1. */
  constructor({
    hideUsage,
    choices = 1,
    secrets = NO_SECRETS,
  }: {
    hideUsage: boolean;
    choices?: number;
    secrets?: Secrets;
  }) {
    this.#hideUsage = hideUsage;
    this.#secrets = secrets;
    this.#choices = new ChoiceEnds(choices);
  }

  /** @param readAtMs When they came in, on the clock of `Observation`. */
  push(read: Buffer, readAtMs: number): Buffer | undefined {
    if (this.done || this.failure !== undefined) return undefined;
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
    if (end === undefined) return this.#failAs('a line that ends within a string');
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
    const shown = this.#hidesNulls ? withoutNullUsage(events) : events;
    return isUtf8(shown) ? shown : Buffer.from(shown.toString('utf8'));
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

  get #isFinished(): boolean {
    return !this.#isMidEvent && this.#choices.areAll;
  }

  /** A part of the event that has not ended is with the client. */
  get #isMidEvent(): boolean {
    return this.#value !== undefined || this.#goneBytes > 0;
  }

  /**
   * The body has ended, and some servers leave out the blank line behind their last event.
   *
   * @returns What may go on to the client. Half an event may not, and does not make worse what came before.
   */
  pushEnd(readAtMs: number): Buffer | undefined {
    if (this.done || this.failure !== undefined || this.heldBytes === 0) return undefined;
    const rest = this.#splitter.push(EVENT_END, this.#ends)!;
    const { data } = readEvent(rest);
    if (data === undefined || !(data.trim() === DONE || isJson(data)))
      return this.#passOver(data ?? rest.toString());
    const passed = this.#inspectRest(rest);
    if (this.observation.contentEvents > 0) this.observation.firstTokenAtMs ??= readAtMs;
    return passed && this.#readable(passed);
  }

  /**
   * The body has ended.
   *
   * @returns Why that is too early, if it is. After the finish reason of every choice it is not, even where `[DONE]`
   * is missing.
   */
  end(): AppError | undefined {
    if (!this.done && this.failure === undefined) {
      if (this.#isMidEvent) this.#failAs('the stream ended in the middle of an event');
      else if (this.observation.finishReasons.length === 0)
        this.failure = this.#endedWithout('a finish reason');
      else if (this.#choices.isMidChoice)
        this.failure = unexpectedReply('the stream ended in the middle of one of its choices');
    }
    return this.failure;
  }

  /**
   * Some servers never tell why a choice has ended: their `[DONE]` is believed, unless nothing came before it.
   *
   * @returns Whether it is believed.
   */
  #believeDone(): boolean {
    const { contentEvents, finishReasons } = this.observation;
    this.done = contentEvents > 0 || finishReasons.length > 0;
    if (!this.done) this.failure = this.#endedWithout('a word of content');
    return this.done;
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
      this.failure = AppError.from(error);
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
        const passed = this.#inspectRest(event);
        if (passed !== event) {
          if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
          if (passed !== undefined) kept.push(passed);
          keptFrom = end;
        }
      }
      start = end;
      if (this.done || this.failure !== undefined) break;
    }
    if (start > keptFrom) kept.push(block.subarray(keptFrom, start));
    return kept.length > 1 ? Buffer.concat(kept) : kept[0];
  }

  /** Of an event whose beginning has gone to the client already, what follows is the rest. */
  #inspectRest(event: Buffer): Buffer | undefined {
    const passed = this.#inspect(event);
    if (this.#goneBytes === 0 || passed === undefined) return passed;
    const rest = passed.subarray(this.#goneBytes);
    this.#goneBytes = 0;
    return rest;
  }

  /** @returns What may go on to the client: nearly always the event itself, or nothing. */
  #inspect(event: Buffer): Buffer | undefined {
    const read = withoutLongTexts(event);
    if (read === undefined) return this.#failAs('an event of too much beside long texts');
    const { type, data, error: named } = readEvent(read);
    if (named !== undefined) return this.#failWith(named.slice(named.indexOf(':') + 1));
    if (type !== undefined && isErrorName(type)) return this.#failWith(data ?? '');
    if (data === undefined || data === '') return undefined;
    if (data.trim() === DONE) {
      if (!this.#believeDone()) return undefined;
      // Clients know it by these very characters.
      return data === DONE ? event : Buffer.from(`data: ${DONE}\n\n`);
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      const mended = withNulls(data);
      if (mended !== data && read === event) return this.#inspect(jsonEvent(mended));
      // What has a name of its own, such as a ping, is no chunk; nor is a ping that is all that there is.
      if ((type && type !== 'message') || isSignOfLife(data)) return this.#passOver(data);
      return this.#failAs(`an event that is not JSON: ${keyless(data, this.#secrets, MAX_TOLD_CHARS)}`);
    }
    const error = errorOf(parsed);
    if (error !== undefined) return this.#failWith(JSON.stringify(error));
    const chunk = asWire(parsed);
    const choices = choicesOf(chunk);
    const usage = usageOf(chunk, choices);
    if (usage !== undefined) this.#noteUsage(usage);
    // Also one that cannot be read is nothing that a client expects who did not ask.
    const isOfUsage = chunk.usage !== undefined && chunk.usage !== null;
    this.#hidesNulls ||= this.#hideUsage && chunk.usage === null;
    let content = false;
    let finished = false;
    for (const choice of choices) {
      content ||= hasContent(choice);
      const reason = finishReasonOf(choice);
      this.#choices.note(indexOf(choice), reason !== undefined);
      if (reason === undefined) continue;
      finished = true;
      this.observation.finishReasons.push(reason);
    }
    if (content) {
      this.observation.contentEvents += 1;
      this.observation.replyBytes += event.length;
      if (choices.length === 1 && !finished && usage === undefined && !isOfUsage) this.#plain.learn(event);
    }
    const hides = isOfUsage && this.#hideUsage;
    if (choices.length > 0)
      return hides ? withoutUsage(read === event ? data : readEvent(event).data!) : event;
    if (!isOfUsage && !Array.isArray(chunk.choices)) return this.#passOver(data);
    return hides ? undefined : event;
  }

  #passOver(data: string): undefined {
    this.#unknown = keyless(data, this.#secrets, MAX_TOLD_CHARS);
  }

  #endedWithout(what: string): AppError {
    const said = this.#unknown === '' ? '' : `; it said ${this.#unknown}`;
    return unexpectedReply(`the stream ended without ${what}${said}`);
  }

  #failAs(detail: string): undefined {
    this.failure = unexpectedReply(detail);
  }

  #failWith(error: string): undefined {
    this.failure = errorWithin(error, 'an error event', this.#secrets);
  }

  /** The last one counts, unless it tells less than an earlier one: some servers end with zeros. */
  #noteUsage(usage: Usage): void {
    const before = this.observation.usage;
    if (before === undefined || isWholeUsage(usage) || !isWholeUsage(before)) this.observation.usage = usage;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
