import { Buffer, isUtf8 } from 'node:buffer';
import type { UsageJudge } from '../../core/backend.ts';
import type { AppError } from '../../core/error.ts';
import { newObservation, type Observation } from '../../core/observation.ts';
import { isTrueCount } from '../../core/plausible-usage.ts';
import { type Member, type SkimmedObject, skimBeginning, skimObject, skipSpace } from '../../core/skim.ts';
import type { Usage } from '../../core/usage.ts';
import { readingUsageBody, usageBody } from '../../core/usage-body.ts';
import { errorOf, errorSaid, errorWithin } from '../errors/error-within.ts';
import { keyless, NO_SECRETS, type Secrets } from '../errors/secrets.ts';
import { unexpectedReply } from '../errors/server-faults.ts';
import { hasContent, tokensIn, tokensOf } from '../wire/content.ts';
import { findFinishReasons, finishReasonOf } from '../wire/finish-reasons.ts';
import { isEmpty, parsedValue, saysError, saysNone } from '../wire/member-value.ts';
import { withNulls } from '../wire/not-a-number.ts';
import { ObjectEnd } from '../wire/object-end.ts';
import { plainUsage } from '../wire/plain-usage.ts';
import { readingUsageOf, tellsUsage, tellsUsageInside, usageOf } from '../wire/usage.ts';
import { asWire, choicesOf, hasResults, type Wire } from '../wire/wire-chunk.ts';
import { usageReplaced } from './told-usage.ts';

/**
 * Up to this size a reply is kept by reference and read exactly. Larger ones are followed to their end, of which as much is kept
 * as the usage usually stands in.
 */
const KEPT_BYTES = 1024 * 1024;
/** Up to this size, where a broken one can still be refused, it is parsed, which costs no more than looking for what is needed. */
export const PARSED_BYTES = 64 * 1024;
const TAIL_BYTES = 64 * 1024;

/** A reply that tells of more prompt tokens than this is worth a closer look, in case it is none. */
const USUAL_PROMPT_TOKENS = 65_536;

/** The key, whose letters may be escaped. Inside a string its quotes would be, too. */
const USAGE = /"(?:u|\\u0075)(?:s|\\u0073)(?:a|\\u0061)(?:g|\\u0067)(?:e|\\u0065)"[ \t\r\n]*:/g;
/** Keys of what some servers send in place of a generation. */
const ERROR_KEYS: ReadonlySet<string> = new Set(['errors', 'detail', 'message']);

/** Of a reply that is none, to operators. */
const MAX_TOLD_CHARS = 300;

const WITH_STATUS_200 = 'an error with status 200';
const NO_OBJECT = 'the reply is no JSON object';
const NOT_COMPLETE = 'the reply is not complete JSON';

const OPEN_BRACE = 0x7b;

export interface WholeExpectations {
  /** It has to have choices; otherwise, results. */
  readonly isGeneration: boolean;
  /** Default: whatever is told counts. */
  readonly judge?: UsageJudge | undefined;
  readonly secrets?: Secrets;
}

/** Watches a JSON reply go by and reads its usage and finish reasons at the end. */
export class WholeTap {
  readonly observation: Observation = newObservation();
  readonly #now: () => number;
  readonly #isGeneration: boolean;
  readonly #judge: UsageJudge | undefined;
  readonly #secrets: Secrets;
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #cutBytes = 0;
  /** Of a reply of which something was cut. */
  #objectEnd: ObjectEnd | undefined;
  /** Its beginning says that it is a generation. */
  #hasChoices = false;
  /** Once it has ended, and if anything in it is no JSON but can be made to be, or tells of a usage that does not count: what to deliver in its place. */
  mended: Buffer | undefined;

  /** @param now On the clock of `Observation`. */
  constructor(now: () => number, options: WholeExpectations) {
    this.#now = now;
    this.#isGeneration = options.isGeneration;
    this.#judge = options.judge;
    this.#secrets = options.secrets ?? NO_SECRETS;
  }

  push(bytes: Buffer): void {
    // All tokens come at once: there is no time between them.
    this.observation.firstTokenAtMs ??= this.#now();
    this.observation.replyBytes += bytes.length;
    this.#pieces.push(bytes);
    this.#keptBytes += bytes.length;
    if (this.#keptBytes > KEPT_BYTES) {
      const kept = this.#kept;
      const from = kept.length - TAIL_BYTES;
      findFinishReasons(kept, from, this.observation.finishReasons);
      this.#objectEnd ??= new ObjectEnd();
      this.#objectEnd.push(kept.subarray(0, from));
      this.#pieces = [Buffer.from(kept.subarray(from))];
      this.#keptBytes = TAIL_BYTES;
      this.#cutBytes += from;
    }
  }

  get #kept(): Buffer {
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }

  /**
   * To be called once there is enough to judge by, and before anything is delivered.
   *
   * @returns Why it is no reply, if its beginning says so.
   */
  readBeginning(): AppError | undefined {
    const text = this.#kept;
    const first = text[skipSpace(text, 0)];
    if (first !== undefined && first !== OPEN_BRACE) return unexpectedReply(NO_OBJECT);
    const members = skimBeginning(text);
    this.#hasChoices = members.some(({ key }) => key === 'choices');
    for (const member of members) {
      const isError =
        ((member.key === 'error' || this.#isErrorKey(member)) && !saysNone(text, member)) ||
        (member.key === 'object' && saysError(text, member));
      if (isError) {
        const said = text.toString('utf8', member.valueStart, member.valueEnd);
        return errorWithin(said, WITH_STATUS_200, this.#secrets);
      }
      if (member.key === 'usage') this.#readUsage(text, member.valueStart);
    }
    return undefined;
  }

  #isErrorKey({ key }: Member): boolean {
    return this.#isGeneration && !this.#hasChoices && ERROR_KEYS.has(key);
  }

  /** The body has ended. @returns Why it is not a reply, if it is not. */
  end(): AppError | undefined {
    const text = this.#kept;
    this.#pieces = [];
    if (this.#objectEnd !== undefined) {
      this.#objectEnd.push(text);
      if (!this.#objectEnd.isWhole) return unexpectedReply(NOT_COMPLETE);
      this.#readTail(text);
      return undefined;
    }
    try {
      if (text.length <= PARSED_BYTES) return this.#parse(text);
      const root = skimObject(text);
      const isSkimmed =
        root !== undefined && skipSpace(text, root.end) === text.length && this.#skim(text, root);
      return isSkimmed ? undefined : this.#parse(text);
    } catch {
      return unexpectedReply(NOT_COMPLETE);
    }
  }

  /** Reads what nearly every reply is: one with a usage and without an error. @returns Whether this is one. */
  #skim(text: Buffer, { members }: SkimmedObject): boolean {
    let usage: Member | undefined;
    let choices: Member | undefined;
    for (const member of members) {
      if (member.key === 'error' || member.keyEscaped) return false;
      if (member.key === 'object' && saysError(text, member)) return false;
      if (member.key === 'usage') usage = member;
      if (member.key === 'choices') choices = member;
    }
    if (usage === undefined) return false;
    if (choices === undefined ? this.#isGeneration : isEmpty(text, choices)) return false;
    this.observation.usage = plainUsage(text, usage) ?? this.#usageOf({ usage: parsedValue(text, usage) });
    // Counts that may be wrong call for a closer look.
    const { promptTokens = 0, completionTokens = 0 } = this.observation.usage ?? {};
    if (!(promptTokens > 0) || (choices !== undefined && !this.#isSure(promptTokens, completionTokens)))
      return false;
    const { finishReasons } = this.observation;
    if (!findFinishReasons(text, text.length, finishReasons)) {
      finishReasons.length = 0;
      return false;
    }
    this.observation.contentEvents = finishReasons.length;
    this.#correctUsage(text);
    return true;
  }

  /**
   * A token stands for at least a byte, so that more tokens than bytes are in doubt; but they may be reasoning that
   * is not shown.
   */
  #isSure(promptTokens: number, completionTokens: number): boolean {
    const { replyBytes } = this.observation;
    return isTrueCount(promptTokens, USUAL_PROMPT_TOKENS) && isTrueCount(completionTokens, replyBytes);
  }

  #parse(text: Buffer): AppError | undefined {
    const parsed = this.#parsed(text.toString('utf8'));
    if (this.mended === undefined && !isUtf8(text)) this.mended = Buffer.from(text.toString('utf8'));
    const error = errorOf(parsed);
    if (error !== undefined) return errorSaid(error, WITH_STATUS_200, this.#secrets);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      return unexpectedReply(NO_OBJECT);
    const reply = asWire(parsed);
    const choices = choicesOf(reply);
    const missing = this.#isGeneration ? choices.length === 0 && 'choices' : !hasResults(reply) && 'results';
    if (missing)
      return unexpectedReply(
        `the reply has no ${missing}: ${keyless(text.toString('utf8'), this.#secrets, MAX_TOLD_CHARS)}`,
      );
    this.observation.usage = this.#usageOf(reply);
    for (const choice of choices) {
      if (hasContent(choice)) this.observation.contentEvents += tokensOf(choice);
      const reason = finishReasonOf(choice);
      if (reason !== undefined) this.observation.finishReasons.push(reason);
    }
    if (tellsUsage(reply) || tellsUsageInside(reply, choices)) this.#correctUsage(text, reply.usage);
    return undefined;
  }

  /** @param told What else a server counts of a text that was read (`search_units`) stays. */
  #correctUsage(text: Buffer, told?: unknown): void {
    const counted = this.#judge?.instead(this.observation);
    if (counted === undefined) return;
    const usage = this.#isGeneration
      ? usageBody(counted)
      : { ...asWire(told), ...readingUsageBody(counted.promptTokens) };
    this.mended = usageReplaced(this.mended ?? text, 0, usage) ?? this.mended;
  }

  /** Of numbers that JSON does not have. */
  #parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      const mended = withNulls(text);
      const parsed: unknown = JSON.parse(mended);
      this.mended = Buffer.from(mended);
      return parsed;
    }
  }

  #usageOf(reply: Wire): Usage | undefined {
    return this.#isGeneration ? usageOf(reply) : readingUsageOf(reply);
  }

  #readTail(tail: Buffer): void {
    const { finishReasons } = this.observation;
    findFinishReasons(tail, tail.length, finishReasons);
    const keys = [...tail.toString('latin1').matchAll(USAGE)];
    keys.findLast(({ index, 0: key }) => this.#readUsage(tail, index + key.length));
    const choices = finishReasons.length;
    const { promptTokens = 0, completionTokens = 0 } = this.observation.usage ?? {};
    if (this.#isSure(promptTokens, completionTokens)) this.observation.contentEvents = Math.max(1, choices);
    else if (this.#hasChoices || choices > 0)
      this.observation.contentEvents = tokensIn(this.#cutBytes + tail.length);
  }

  /** @returns Whether there is one. */
  #readUsage(text: Buffer, from: number): boolean {
    const object = skimObject(text, from);
    if (object === undefined) return false;
    try {
      const usage = this.#usageOf({ usage: JSON.parse(text.toString('utf8', object.start, object.end)) });
      this.observation.usage = usage ?? this.observation.usage;
      return usage !== undefined;
    } catch {
      // Not the usage of the reply after all.
      return false;
    }
  }
}
