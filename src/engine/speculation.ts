import { PromptLookup } from './prompt-lookup.ts';

/** What is known of a text: its prompt, and what was drawn so far. */
interface Text {
  readonly prompt: readonly number[];
  readonly output: readonly number[];
}

/**
 * For drafts after matches of at least `from` tokens: how many tokens are expected to be accepted before any has been
 * tried.
 */
const CLASSES = [
  { from: 9, accepted: 2 },
  { from: 5, accepted: 1.2 },
  { from: 0, accepted: 0.9 },
] as const;

/** How much the latest measurement counts. */
const ACCEPTED_WEIGHT = 0.25;
const DURATION_WEIGHT = 0.1;

/** A step that took longer than this many times the usual was held up, and counts as that. */
const MOST_TIMES_USUAL = 2;

/** A check is taken for this many steps' time until one has been measured. */
const FIRST_COST_RATIO = 1.6;

/**
 * After this many drafts that were not tried, one is, to see whether it would pay again; after twice as many each
 * time that it was in vain.
 */
const FIRST_PAUSE = 8;
const LONGEST_PAUSE = 128;

interface Experience {
  /** Mean number of tokens accepted of a draft. */
  accepted: number;
  /** Drafts not tried since the last one. */
  skipped: number;
  pause: number;
}

/**
 * Decides for a sequence that decodes alone whether to check a draft of its next tokens instead of taking a step: if
 * the tokens that this is expected to give are worth the time that it takes. What is expected is learnt from the
 * sequence's own drafts, for
 * longer and shorter matches on their own; what things take is measured. So it stops where text does not repeat itself, or
 * where checking takes too long, and tries again from time to time.
 */
export class Speculation {
  readonly #draftTokens: number;
  #stepMs = 0;
  #checkMs = 0;
  readonly #texts = new WeakMap<Text, { lookup: PromptLookup; experiences: Experience[] }>();
  /** Of the draft that was proposed last. */
  #trying: Experience | undefined;

  /** `draftTokens`: how many are checked at once. */
  constructor(draftTokens: number) {
    this.#draftTokens = draftTokens;
  }

  /** The tokens to be checked; undefined: take a step. Either way, the time that it took has to be reported. */
  propose(text: Text): readonly number[] | undefined {
    if (this.#stepMs === 0) return undefined;
    const { lookup, experiences } = this.#known(text);
    const draft = lookup.draft(this.#draftTokens);
    if (draft === undefined) return undefined;
    const experience = experiences[CLASSES.findIndex(({ from }) => draft.matched >= from)]!;
    const checkMs = this.#checkMs === 0 ? FIRST_COST_RATIO * this.#stepMs : this.#checkMs;
    if ((1 + experience.accepted) * this.#stepMs <= checkMs && ++experience.skipped < experience.pause)
      return undefined;
    this.#trying = experience;
    return draft.tokens;
  }

  #known(text: Text): { lookup: PromptLookup; experiences: Experience[] } {
    let known = this.#texts.get(text);
    if (known === undefined) {
      known = {
        lookup: new PromptLookup(),
        experiences: CLASSES.map(({ accepted }) => ({ accepted, skipped: 0, pause: FIRST_PAUSE })),
      };
      this.#texts.set(text, known);
    }
    const { lookup } = known;
    const { prompt, output } = text;
    while (lookup.length < prompt.length + output.length)
      lookup.push(prompt[lookup.length] ?? output[lookup.length - prompt.length]!);
    return known;
  }

  /** A step of one sequence was taken. */
  stepped(durationMs: number): void {
    this.#stepMs = averaged(this.#stepMs, durationMs);
  }

  /** The proposed tokens were checked, and this many of them were what was drawn. */
  checked(accepted: number, durationMs: number): void {
    this.#checkMs = averaged(this.#checkMs, durationMs, FIRST_COST_RATIO * this.#stepMs);
    const experience = this.#trying;
    if (experience === undefined) return;
    this.#trying = undefined;
    experience.accepted += (accepted - experience.accepted) * ACCEPTED_WEIGHT;
    // A draft that was tried after a pause, or paid: see how it is now.
    const paid = (1 + accepted) * this.#stepMs > this.#checkMs;
    if (experience.skipped > 0)
      experience.pause = paid ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, 2 * experience.pause);
    experience.skipped = 0;
  }
}

function averaged(meanMs: number, durationMs: number, firstMs = durationMs): number {
  if (meanMs === 0) return Math.min(durationMs, MOST_TIMES_USUAL * firstMs);
  return meanMs + (Math.min(durationMs, MOST_TIMES_USUAL * meanMs) - meanMs) * DURATION_WEIGHT;
}
