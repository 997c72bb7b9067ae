import { NonNegativeRls } from './recursive-least-squares.ts';

/** Prompt work to be done, as the sums that a time is linear in. */
export interface PrefillWork {
  /** Tokens to compute. */
  readonly tokens: number;
  /** Pairs of tokens that attend to each other: n·(L − n/2) for n new tokens at the end of L. */
  readonly pairs: number;
}

export function prefillWork(promptTokens: number, cachedTokens: number): PrefillWork {
  // The last token is always computed: its logits begin the reply.
  const tokens = Math.max(1, promptTokens - cachedTokens);
  return { tokens, pairs: tokens * Math.max(1, promptTokens - tokens / 2) };
}

const FORGETTING = 0.99;
/** Prompts of others that interrupt a reply make its pace noisy: more observations make up for it. */
const DECODE_FORGETTING = 0.998;
const RATIOS = 64;
/** Where nothing is known: 20,000 tokens/s of prefill, 20 ms per output token. */
const PRIOR_PREFILL = [5, 0.05, 1e-6];
const PRIOR_DECODE = [15, 0.3, 1e-5];

/**
 * How long one model takes at one deployment, learnt from what was observed:
 *
 *   time to first token = net + scale·(a₁·tokens + a₂·pairs)   over the work ahead and the request's own
 *   time per output token = t₀ + t₁·sequences + t₂·KV tokens
 *
 * `scale` is the median of observed over predicted of the last 64: it follows changes that the coefficients, which
 * forget slowly, do not see yet (a slowed-down machine, decoding that takes its share of every step).
 */
export class LatencyModel {
  readonly #prefill = new NonNegativeRls(PRIOR_PREFILL, [100, 1, 1e-4], FORGETTING);
  readonly #decode = new NonNegativeRls(PRIOR_DECODE, [15, 1, 1e-4], DECODE_FORGETTING);
  readonly #ratios: number[] = [];
  #nextRatio = 0;
  #scale = 1;

  get netMs(): number {
    return this.#prefill.coefficients[0]!;
  }

  get scale(): number {
    return this.#scale;
  }

  /** Unscaled. */
  prefillMs(tokens: number, pairs: number): number {
    const [, perToken, perPair] = this.#prefill.coefficients;
    return perToken! * tokens + perPair! * pairs;
  }

  tpotMs(sequences: number, kvTokens: number): number {
    const [base, perSequence, perToken] = this.#decode.coefficients;
    return base! + perSequence! * sequences + perToken! * kvTokens;
  }

  /**
   * A first token came. How much of the prompt was cached may not be known yet, but how fast things are going is.
   *
   * @param work All that had to be done before the first token, that of requests ahead included.
   */
  observeSpeed(work: PrefillWork, ttftMs: number): void {
    this.#ratios[this.#nextRatio] = ttftMs / Math.max(1, this.#unscaledMs(work));
    this.#nextRatio = (this.#nextRatio + 1) % RATIOS;
    const sorted = [...this.#ratios].sort((a, b) => a - b);
    this.#scale = sorted[sorted.length >> 1]!;
  }

  observeTtft(work: PrefillWork, ttftMs: number): void {
    // Relative errors count: a long prompt must not outweigh a hundred short ones.
    const weight = 1 / Math.max(20, this.#unscaledMs(work));
    this.#prefill.observe([1, work.tokens, work.pairs], ttftMs, weight);
  }

  observeTpot(sequences: number, kvTokens: number, tpotMs: number): void {
    this.#decode.observe([1, sequences, kvTokens], tpotMs, 1 / Math.max(1, this.tpotMs(sequences, kvTokens)));
  }

  #unscaledMs({ tokens, pairs }: PrefillWork): number {
    return this.netMs + this.prefillMs(tokens, pairs);
  }
}
