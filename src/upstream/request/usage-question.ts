import type { AppError } from '../../core/error.ts';

/** After this long the server is asked again: it may have been brought up to date. */
const REST_MS = 600_000;

/**
 * Whether streams are asked for their usage where their clients have not. Some servers refuse whatever they do not
 * know, and do not know this question: Mistral's, and Azure's in older versions.
 */
export class UsageQuestion {
  readonly #now: () => number;
  #restsUntilMs: number;

  /** @param isWithheld The operator has it that nobody asks. */
  constructor(now: () => number, isWithheld: boolean) {
    this.#now = now;
    this.#restsUntilMs = isWithheld ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  get isAsked(): boolean {
    return this.#now() >= this.#restsUntilMs;
  }

  /**
   * The same request was taken once it did not ask: a refusal that only names the question, as one that repeats a
   * prompt may, tells nothing.
   */
  rest(): void {
    this.#restsUntilMs = this.#now() + REST_MS;
  }
}

/** What a server says of a request names the question. */
export function refusesQuestion({ code, cause }: AppError): boolean {
  return (
    code === 'upstream_rejected' &&
    cause instanceof Error &&
    /\bstream_options\b|\binclude_usage\b/.test(cause.message)
  );
}
