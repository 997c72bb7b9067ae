/** Nobody notices a pause between two tokens below this, and longer chunks of a prompt are hardly computed any faster. */
const TARGET_STEP_MS = 120;
/** Where so many prompts wait, those who decode wait a little longer for the sake of so many first tokens. */
const CROWD_PROMPTS = 4;
const CROWDED_STEP_MS = 160;

const GRAIN_TOKENS = 16;
const MOST_CHUNK_TOKENS = 256;
/** Before anything was measured. */
const FIRST_CHUNK_TOKENS = 64;

/** Of what was measured before, so much counts after one more measurement. */
const MEMORY = 0.75;

/**
 * How many prompt tokens a step may compute beside its decode batch, so that those who decode wait about `TARGET_STEP_MS`
 * for their next token, whatever the model and the machine. Never none: a prompt always gets on.
 */
export class StepBudget {
  #decodeMs = 0;
  #prefillMs = 0;
  #prefillTokens = 0;

  /** @param waiting Prompts that have no slot yet. */
  chunkTokens(waiting: number): number {
    if (this.#prefillTokens === 0) return FIRST_CHUNK_TOKENS;
    const stepMs = waiting < CROWD_PROMPTS ? TARGET_STEP_MS : CROWDED_STEP_MS;
    const tokens = ((stepMs - this.#decodeMs) * this.#prefillTokens) / this.#prefillMs;
    const whole = Math.floor(tokens / GRAIN_TOKENS) * GRAIN_TOKENS;
    return Math.min(MOST_CHUNK_TOKENS, Math.max(GRAIN_TOKENS, whole));
  }

  decoded(durationMs: number): void {
    this.#decodeMs = this.#decodeMs * MEMORY + durationMs * (1 - MEMORY);
  }

  prefilled(tokens: number, durationMs: number): void {
    // A few tokens take as long as one: they tell nothing of a chunk.
    if (tokens < GRAIN_TOKENS) return;
    this.#prefillMs = this.#prefillMs * MEMORY + durationMs;
    this.#prefillTokens = this.#prefillTokens * MEMORY + tokens;
  }
}
