import { Buffer } from 'node:buffer';
import type { UsageJudge } from '../../core/backend.ts';
import type { AppError } from '../../core/error.ts';
import { newObservation, type Observation } from '../../core/observation.ts';
import { isWholeUsage } from '../../core/plausible-usage.ts';
import type { Usage } from '../../core/usage.ts';
import { usageBody } from '../../core/usage-body.ts';
import { errorOf, errorSaid, errorWithin } from '../errors/error-within.ts';
import { keyless, NO_SECRETS, type Secrets } from '../errors/secrets.ts';
import { unexpectedReply } from '../errors/server-faults.ts';
import { hasContent } from '../wire/content.ts';
import { finishReasonOf } from '../wire/finish-reasons.ts';
import { withoutLongTexts } from '../wire/long-texts.ts';
import { withNulls } from '../wire/not-a-number.ts';
import { tellsUsage, tellsUsageInside, usageOf } from '../wire/usage.ts';
import { asWire, choicesOf, indexOf, jsonOf, type Wire } from '../wire/wire-chunk.ts';
import { ChoiceEnds } from './choice-ends.ts';
import type { PlainEvents } from './plain-events.ts';
import { isComment, isErrorName, isSignOfLife, jsonEvent, readEvent } from './server-sent-event.ts';
import { shownUsage } from './told-usage.ts';

const DONE = '[DONE]';
const ERROR_EVENT = 'an error event';
/** Of what is no chunk, to operators. */
const MAX_TOLD_CHARS = 300;

export interface StreamExpectations {
  /** The client did not ask for it. */
  readonly hideUsage: boolean;
  /** How many were asked for; default 1. */
  readonly choices?: number;
  /** Default: whatever is told counts. */
  readonly judge?: UsageJudge | undefined;
  readonly secrets?: Secrets;
}

/**
 * Reads the events of one stream that have to be parsed: notes what they say, and tells how much of each may go on to the client. Kept
 * back are error events (they may give away internals), whatever is not a chunk (it could be an error in a shape that nobody
 * knows), and the usage of a client that did not ask for it, also where it stands beside choices. So are comments, which keep
 * the upstream's connection alive: the client's gets its own.
 */
export class EventInspector {
  readonly observation: Observation = newObservation();
  /** Set when the stream must end here with an error. */
  failure: AppError | undefined;
  /** `[DONE]` was seen. */
  done = false;
  /** Chunks say that they have no usage, to a client that did not ask for any. */
  hidesNulls = false;
  readonly #plain: PlainEvents;
  readonly #hideUsage: boolean;
  readonly #judge: UsageJudge | undefined;
  readonly #secrets: Secrets;
  readonly #choices: ChoiceEnds;
  /** The beginning of what came last and is no chunk: of a stream without content it is all that there is to say. */
  #unknown = '';

  /** @param plain Learns from events that bring nothing but text. */
  constructor(
    { hideUsage, choices = 1, judge, secrets = NO_SECRETS }: StreamExpectations,
    plain: PlainEvents,
  ) {
    this.#hideUsage = hideUsage;
    this.#judge = judge;
    this.#secrets = secrets;
    this.#choices = new ChoiceEnds(choices);
    this.#plain = plain;
  }

  /** Nothing that follows is of interest. */
  get isOver(): boolean {
    return this.done || this.failure !== undefined;
  }

  /** All choices have finished. */
  get isFinished(): boolean {
    return this.#choices.areAll;
  }

  /** @returns What may go on to the client: nearly always the event itself, or nothing. */
  inspect(event: Buffer): Buffer | undefined {
    if (isComment(event)) return undefined;
    const read = withoutLongTexts(event);
    if (read === undefined) return this.failAs('an event of too much beside long texts');
    const { type, data, error: named } = readEvent(read);
    if (named !== undefined) return this.#failWith(named.slice(named.indexOf(':') + 1));
    if (type !== undefined && isErrorName(type)) return this.#failWith(data ?? '');
    if (data === undefined || data === '') return undefined;
    if (data.trim() === DONE) {
      if (!this.#believeDone()) return undefined;
      // Clients know it by these very characters.
      return data === DONE ? event : Buffer.from(`data: ${DONE}\n\n`);
    }
    const isNamed = type !== undefined && type !== '' && type !== 'message';
    // A parser that fails takes ten times as long to say so, which a flood of pings would make everybody wait for.
    if (data[0] !== '{' && (isNamed ? !opensJson(data) : isSignOfLife(data))) return this.#passOver(data);
    const said = jsonOf(data);
    if (said === undefined) {
      const mended = withNulls(data);
      if (mended !== data && read === event) return this.inspect(jsonEvent(mended));
      // What has a name of its own, such as a ping, is no chunk.
      if (isNamed) return this.#passOver(data);
      return this.failAs(`an event that is not JSON: ${keyless(data, this.#secrets, MAX_TOLD_CHARS)}`);
    }
    const error = errorOf(said);
    if (error !== undefined) {
      this.failure = errorSaid(error, ERROR_EVENT, this.#secrets);
      return undefined;
    }
    const chunk = asWire(said);
    const choices = choicesOf(chunk);
    const usage = usageOf(chunk, choices);
    // Also one that cannot be read is nothing that a client expects who did not ask.
    const isOfUsage = tellsUsage(chunk);
    const isInside = tellsUsageInside(chunk, choices);
    const lacksChoices = choices.length === 0 && !isEmptyList(chunk.choices);
    this.#noteChunk(chunk, choices, usage, event);
    if (lacksChoices && !isOfUsage) return this.#passOver(data);
    const hides = this.#hideUsage && isOfUsage;
    if (hides && choices.length === 0) return undefined;
    const counted = isInside || (isOfUsage && !hides) ? this.#countedInstead(usage) : undefined;
    if (!lacksChoices && !hides && counted === undefined) return event;
    const whole = read === event ? data : readEvent(event).data!;
    const shown = shownUsage(whole, { hides, lacksChoices, counted: counted && usageBody(counted) });
    return shown ?? this.failAs('an event that goes too deep');
  }

  /** The same for one that the end of the stream has ended, perhaps in its middle. Half an event does not make worse what came before. */
  inspectLast(event: Buffer): Buffer | undefined {
    const { data } = readEvent(event);
    if (data !== undefined && (data.trim() === DONE || jsonOf(data) !== undefined))
      return this.inspect(event);
    return this.#passOver(data ?? event.toString());
  }

  /** The stream has ended. What is missing then makes it fail; after the finish reason of every choice `[DONE]` is not. */
  end(): void {
    if (this.isOver) return;
    if (this.observation.finishReasons.length === 0) this.failure = this.#endedWithout('a finish reason');
    else if (this.#choices.isMidChoice) this.failAs('the stream ended in the middle of one of its choices');
  }

  /** @param detail For operators. */
  failAs(detail: string): undefined {
    this.failure = unexpectedReply(detail);
  }

  #failWith(error: string): undefined {
    this.failure = errorWithin(error, ERROR_EVENT, this.#secrets);
  }

  #noteChunk(chunk: Wire, choices: readonly Wire[], usage: Usage | undefined, event: Buffer): void {
    if (usage !== undefined) this.#noteUsage(usage);
    this.hidesNulls ||= this.#hideUsage && chunk.usage === null;
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
      if (choices.length === 1 && !finished && usage === undefined && !tellsUsage(chunk))
        this.#plain.learn(event);
    }
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

  #passOver(data: string): undefined {
    this.#unknown = keyless(data, this.#secrets, MAX_TOLD_CHARS);
  }

  #endedWithout(what: string): AppError {
    const said = this.#unknown === '' ? '' : `; it said ${this.#unknown}`;
    return unexpectedReply(`the stream ended without ${what}${said}`);
  }

  /** What counts in place of the usage that the last chunk has told, also where that cannot be read. Undefined: just that. */
  #countedInstead(told: Usage | undefined): Usage | undefined {
    if (this.#judge === undefined) return undefined;
    const { usage } = this.observation;
    return this.#judge.instead(this.observation) ?? (told === usage ? undefined : usage);
  }

  /** The last one counts, unless it tells less than an earlier one: some servers end with zeros. */
  #noteUsage(usage: Usage): void {
    const before = this.observation.usage;
    if (before === undefined || isWholeUsage(usage) || !isWholeUsage(before)) this.observation.usage = usage;
  }
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Of an object, or of a list. */
function opensJson(text: string): boolean {
  return /^\s*[{[]/.test(text);
}
