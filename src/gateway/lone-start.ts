import type { Fared } from './knee.ts';

const FIRST_GUESS = 16;
/** So many times what was predicted, and so much more, is no queue yet. */
const TOLERANCE = 1.5;
const SLACK_MS = 20;

/**
 * How many requests of a tenant that is alone at a backend are let in: what is let in before anything is known of the backend, whoever comes second may have
 * to wait for, and that cannot be taken back. With each that begins in time there may be one more, so that they double in the time that one takes: a
 * tenant that stays alone soon has all that there is.
 */
export class LoneStart {
  #at = FIRST_GUESS;

  get at(): number {
    return this.#at;
  }

  observe({ tookMs, predictedMs }: Pick<Fared, 'tookMs' | 'predictedMs'>): void {
    if (tookMs <= predictedMs * TOLERANCE + SLACK_MS) this.#at += 1;
  }

  /** One has left of which nobody can say how it should have fared: such ones are no reason to hold anybody back. */
  unjudged(): void {
    this.#at += 1;
  }
}
