import { type Media, NO_MEDIA } from '../../routers/request.ts';
import { isAbandonment } from '../core/abandonment.ts';
import type { UsageJudge } from '../core/backend.ts';
import type { Caller } from '../core/caller.ts';
import type { Decision } from '../core/decision.ts';
import type { Deployment } from '../core/deployment.ts';
import type { AppError } from '../core/error.ts';
import type { AttemptKind, AttemptRecord, Outcome, RequestSettled } from '../core/event.ts';
import { costNanoUsd } from '../core/money.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import type { Part } from '../core/part.ts';
import { plausibleUsage, type UsageBounds } from '../core/plausible-usage.ts';
import type { Usage } from '../core/usage.ts';

/** What a settlement tells of the request itself. */
export interface SettledRequest {
  readonly id: string;
  readonly endpoint: string;
  readonly stream: boolean;
  /** Of its prompt. */
  readonly media?: Media;
  /** What its usage can be at most. Default: anything. */
  readonly bounds?: UsageBounds;
  /** Its reply has no text of its own, so that nothing of it can be counted. */
  readonly onlyReads?: boolean;
}

/** An attempt that has been answered, has failed, or was cancelled because another was answered. */
export interface EndedAttempt {
  readonly kind: AttemptKind;
  readonly code: AppError['code'] | undefined;
  readonly lost: boolean;
  readonly durationMs: number;
}

interface SeenAttempt extends EndedAttempt {
  readonly deployment: Deployment;
  readonly startedAtMs: number;
}

const UNBOUNDED: UsageBounds = {
  promptTokens: Number.MAX_SAFE_INTEGER,
  completionTokens: Number.MAX_SAFE_INTEGER,
};
let lastSerial = 0;
const NONE: readonly never[] = [];
const NOTHING: Usage = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };

/** Gathers what happened to one request; `settle` turns it into the one event that telemetry and billing see. */
export class Settlement implements UsageJudge {
  /** Set once the name is known to exist. */
  model: string | undefined;
  observation: Observation = newObservation();
  queuedMs = 0;
  decision: Decision | undefined;
  readonly id: string;
  readonly serial = ++lastSerial;
  readonly #request: SettledRequest;
  readonly #caller: Caller | undefined;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  /** Replaced, not pushed to: mostly there is one, and an array that has been pushed to has room for many. */
  #attempts: readonly SeenAttempt[] = NONE;
  /** As parts told. */
  #promptTokens = 0;
  #cachedPromptTokens = 0;
  #deliveredTokens = 0;
  #failure: AppError | undefined;
  #settled = false;

  /** @param id Unique. */
  constructor(id: string, request: SettledRequest, caller: Caller | undefined, now: () => number) {
    this.id = id;
    this.#request = request;
    this.#caller = caller;
    this.#now = now;
    this.#startedAtMs = now();
  }

  attempt(deployment: Deployment, ended: EndedAttempt): void {
    const { kind, code, lost, durationMs } = ended;
    const startedAtMs = this.#now() - durationMs;
    const seen = { deployment, kind, code, lost, durationMs, startedAtMs };
    this.#attempts = this.#attempts.length === 0 ? [seen] : [...this.#attempts, seen];
  }

  /** A part of the reply passes by. An `error` is thrown, so that one path ends every failed reply. */
  note(part: Part): void {
    const { observation } = this;
    switch (part.type) {
      case 'start':
        this.#promptTokens = part.promptTokens;
        this.#cachedPromptTokens = part.cachedPromptTokens;
        break;
      case 'text-delta':
      case 'reasoning-delta':
      case 'tool-call-delta':
        this.#deliveredTokens += part.tokens;
        observation.contentEvents++;
        observation.lastTokenAtMs = this.#now();
        observation.firstTokenAtMs ??= observation.lastTokenAtMs;
        break;
      case 'finish':
        observation.finishReasons.push(part.reason);
        break;
      case 'usage':
        observation.usage = part.usage;
        break;
      case 'error':
        throw part.error;
    }
  }

  /** The attempts as they would be settled now. */
  attempts(): readonly AttemptRecord[] {
    const { observation } = this;
    const counted = this.#measured(observation) ?? this.#counted(observation, this.#wasRead);
    return this.#records(counted, this.#now());
  }

  instead(seen: Observation): Usage | undefined {
    const measured = this.#measured(seen);
    if (measured !== undefined && measured === seen.usage) return undefined;
    return measured ?? this.#counted(seen, this.#request.onlyReads === true);
  }

  fail(error: AppError): AppError {
    this.#failure ??= error;
    return error;
  }

  /** @param heldUp The client has had its reply wait: the time of its tokens is the client's. */
  settle(heldUp = false): RequestSettled {
    if (this.#settled) throw new Error('a request was settled twice');
    this.#settled = true;
    const { observation } = this;
    const { firstTokenAtMs, lastTokenAtMs } = observation;
    const measured = this.#measured(observation);
    const counted = measured ?? this.#counted(observation, this.#wasRead);
    const nowMs = this.#now();
    const attempts = this.#records(counted, nowMs);
    const answered = this.#attempts.find(isAnswered);
    const laterTokens = counted.completionTokens - 1;
    return {
      type: 'request-settled',
      settlementId: this.id,
      serial: this.serial,
      caller: this.#caller,
      requestId: this.#request.id,
      endpoint: this.#request.endpoint,
      model: this.model,
      stream: this.#request.stream,
      outcome: this.#outcome(),
      status: this.#failure?.status ?? 200,
      code: this.#failure?.code,
      cause: this.#failure?.cause,
      deployment: (answered ?? this.#attempts.at(-1))?.deployment.id,
      attempts,
      durationMs: nowMs - this.#startedAtMs,
      queuedMs: this.queuedMs,
      ttftMs: firstTokenAtMs === undefined ? undefined : firstTokenAtMs - this.#startedAtMs,
      tpotMs:
        firstTokenAtMs === undefined || lastTokenAtMs === undefined || laterTokens < 1 || heldUp
          ? undefined
          : (lastTokenAtMs - firstTokenAtMs) / laterTokens,
      decision: this.decision,
      usage: counted,
      usageMeasured: measured !== undefined,
      costNanoUsd: costOf(attempts),
    };
  }

  #outcome(): Outcome {
    if (this.#failure === undefined) return 'ok';
    return this.#failure.code === 'client_closed' ? 'cancelled' : 'error';
  }

  #records(delivered: Usage, nowMs: number): AttemptRecord[] {
    const payer = this.#attempts.find(isAnswered) ?? this.#attempts.find(isAbandoned);
    return this.#attempts.map((attempt) => this.#record(attempt, attempt === payer, delivered, nowMs));
  }

  #record(attempt: SeenAttempt, pays: boolean, delivered: Usage, nowMs: number): AttemptRecord {
    const { deployment, kind, code, lost, durationMs, startedAtMs } = attempt;
    const usage = pays ? delivered : NOTHING;
    const { images, audioSeconds } = this.#request.media ?? NO_MEDIA;
    const isCharged = pays && (usage !== NOTHING || this.#isWhole);
    return {
      deployment: deployment.id,
      backend: deployment.backend.name,
      kind,
      code,
      lost,
      durationMs,
      usage,
      costNanoUsd: isCharged
        ? costNanoUsd(deployment, usage, { durationMs: nowMs - startedAtMs, images, audioSeconds })
        : 0,
      wasteNanoUsd:
        lost || (!pays && isAbandoned(attempt))
          ? costNanoUsd(
              deployment,
              { ...NOTHING, promptTokens: this.#expectedPrompt },
              { durationMs, images, audioSeconds },
            )
          : 0,
    };
  }

  /**
   * What counts where the backend has not told, as when a reply broke off. If nothing came nothing counts; but a
   * client that leaves has had a prompt read.
   */
  #counted(seen: Observation, wasRead: boolean): Usage {
    const told = this.#told(seen);
    const completionTokens = Math.max(
      this.#deliveredTokens,
      this.#written(seen),
      told?.completionTokens ?? 0,
    );
    if (completionTokens === 0 && !wasRead) return NOTHING;
    return {
      promptTokens: this.#promptTokens || told?.promptTokens || this.#expectedPrompt,
      completionTokens,
      cachedPromptTokens: this.#cachedPromptTokens || (told?.cachedPromptTokens ?? 0),
      reasoningTokens: 0,
    };
  }

  /** What the backend says, unless it leaves something out: where something was written, something was read as well. */
  #measured(seen: Observation): Usage | undefined {
    const told = this.#told(seen);
    if (told === undefined || (told.promptTokens > 0 && told.completionTokens > 0)) return told;
    return this.#written(seen) > 0 ? undefined : told;
  }

  /** By the backend, as far as it can be true. */
  #told({ usage, replyBytes }: Observation): Usage | undefined {
    const textBytes = this.#request.onlyReads === true ? 0 : replyBytes;
    return usage && plausibleUsage(usage, this.#bounds, textBytes);
  }

  /** How many tokens at least; no more than were asked for, since what is counted are events and characters. */
  #written({ contentEvents }: Observation): number {
    if (this.#request.onlyReads === true) return 0;
    return Math.min(contentEvents, this.#bounds.completionTokens);
  }

  get #bounds(): UsageBounds {
    return this.#request.bounds ?? UNBOUNDED;
  }

  /** Whatever was written. */
  get #wasRead(): boolean {
    return this.#isAbandoned || (this.#request.onlyReads === true && this.#isWhole);
  }

  /** The client has all of it. */
  get #isWhole(): boolean {
    return this.#settled && this.#failure === undefined;
  }

  /** Its client left a backend at work. */
  get #isAbandoned(): boolean {
    return isAbandonment(this.#failure?.code)
      ? this.#attempts.some((attempt) => isAnswered(attempt) || isAbandoned(attempt))
      : this.#attempts.some(isAbandoned);
  }

  get #expectedPrompt(): number {
    return this.decision?.features.promptTokens ?? 0;
  }
}

function costOf(attempts: readonly AttemptRecord[]): number {
  let sum = 0;
  for (const { costNanoUsd } of attempts) sum += costNanoUsd;
  return sum;
}

/** Its client did not wait for what it had made a backend do. */
function isAbandoned({ code, lost }: EndedAttempt): boolean {
  return !lost && isAbandonment(code);
}

function isAnswered({ code, lost }: EndedAttempt): boolean {
  return code === undefined && !lost;
}
