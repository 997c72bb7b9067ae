import { RecentlyUsed } from '../../../routers/recently-used.ts';

/** Until a reply has been seen. */
const UNKNOWN_MS = 30_000;
const LEARNING_RATE = 0.05;
/** With each reply that is shorter than the longest, this share of the difference is forgotten. */
const FORGETTING_RATE = 0.002;
/** How many are remembered: those that had a reply last. */
const PROJECTS = 1_000;

/** The longest of the replies that a project has had of late. */
export interface Most {
  /** Of a backend's work. */
  readonly ms: number;
  /** Of all choices together. */
  readonly tokens: number;
}

/**
 * How long replies of a model were of late, in time and in tokens: as far as anybody can tell, what the next ones
 * will cost. The longest are kept by project, so that nobody's long replies are held against somebody else's money.
 */
export class RecentReplies {
  #seen = false;
  #usualMs = UNKNOWN_MS;
  readonly #most = new RecentlyUsed<{ -readonly [K in keyof Most]: Most[K] }>(PROJECTS);

  /** Of a backend's work. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** At least what is usual, also for a project of which nothing is known. */
  mostOf(projectId: string): Most {
    const { ms, tokens } = this.#most.peek(projectId) ?? NONE;
    return { ms: Math.max(ms, this.#usualMs), tokens: Math.ceil(tokens) };
  }

  observe(projectId: string, tokens: number, workedMs: number): void {
    if (!this.#seen) this.#usualMs = workedMs;
    this.#seen = true;
    this.#usualMs += (workedMs - this.#usualMs) * LEARNING_RATE;
    const most = this.#most.use(projectId, () => ({ ...NONE }));
    most.ms = follow(most.ms, workedMs);
    most.tokens = follow(most.tokens, tokens);
  }
}

const NONE: Most = { ms: 0, tokens: 0 };

function follow(before: number, now: number): number {
  return now >= before ? now : before + (now - before) * FORGETTING_RATE;
}
