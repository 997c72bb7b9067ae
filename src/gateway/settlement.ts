import type { Decision } from '../core/decision.ts';
import type { Deployment } from '../core/deployment.ts';
import type { AppError } from '../core/error.ts';
import type { AttemptRecord, Outcome, RequestSettled } from '../core/event.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import type { Usage } from '../core/usage.ts';

/** What a settlement tells of the request itself. */
export interface SettledRequest {
  readonly id: string;
  readonly endpoint: string;
  readonly stream: boolean;
}

/** Gathers what happened to one request; `settle` turns it into the one event that telemetry and billing see. */
export class Settlement {
  /** Set once the name is known to exist. */
  model: string | undefined;
  observation: Observation = newObservation();
  promptTokens = 0;
  cachedPromptTokens = 0;
  deliveredTokens = 0;
  queuedMs = 0;
  decision: Decision | undefined;
  readonly #request: SettledRequest;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  readonly #attempts: AttemptRecord[] = [];
  #failure: AppError | undefined;
  #settled = false;

  constructor(request: SettledRequest, now: () => number) {
    this.#request = request;
    this.#now = now;
    this.#startedAtMs = now();
  }

  attempt({ id, backend }: Deployment, outcome: Omit<AttemptRecord, 'deployment' | 'backend'>): void {
    this.#attempts.push({ deployment: id, backend: backend.name, ...outcome });
  }

  fail(error: AppError): AppError {
    this.#failure ??= error;
    return error;
  }

  settle(): RequestSettled {
    if (this.#settled) throw new Error('a request was settled twice');
    this.#settled = true;
    const { firstTokenAtMs, lastTokenAtMs, usage } = this.observation;
    const counted = usage ?? this.#countedUsage();
    const answered = this.#attempts.find(({ code, lost }) => code === undefined && !lost);
    const laterTokens = counted.completionTokens - 1;
    return {
      type: 'request-settled',
      requestId: this.#request.id,
      endpoint: this.#request.endpoint,
      model: this.model,
      stream: this.#request.stream,
      outcome: this.#outcome(),
      status: this.#failure?.status ?? 200,
      code: this.#failure?.code,
      cause: this.#failure?.cause,
      deployment: (answered ?? this.#attempts.at(-1))?.deployment,
      attempts: this.#attempts,
      durationMs: this.#now() - this.#startedAtMs,
      queuedMs: this.queuedMs,
      ttftMs: firstTokenAtMs === undefined ? undefined : firstTokenAtMs - this.#startedAtMs,
      tpotMs:
        firstTokenAtMs === undefined || lastTokenAtMs === undefined || laterTokens < 1
          ? undefined
          : (lastTokenAtMs - firstTokenAtMs) / laterTokens,
      decision: this.decision,
      usage: counted,
      usageMeasured: usage !== undefined,
    };
  }

  #outcome(): Outcome {
    if (this.#failure === undefined) return 'ok';
    return this.#failure.code === 'client_closed' ? 'cancelled' : 'error';
  }

  /** For a reply that broke off before its backend told the usage. */
  #countedUsage(): Usage {
    return {
      promptTokens: this.promptTokens,
      completionTokens: Math.max(this.deliveredTokens, this.observation.contentEvents),
      cachedPromptTokens: this.cachedPromptTokens,
      reasoningTokens: 0,
    };
  }
}
