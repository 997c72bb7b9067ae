/** While fewer than this have ended, the line is taken to move as fast as if they had: it is slower than that. */
const MIN_SAMPLES = 8;
const SAMPLES = 32;

/**
 * How fast a line moves: as fast as requests end that were in it, or whose tenants have more there. Counting those that leave
 * the line would tell the same, except of a line that stands still because more are inside than may be.
 */
export class QueuePace {
  /** When the line formed, and then when each of the latest ended. */
  #turnsAtMs: number[] = [];

  formed(nowMs: number): void {
    this.#turnsAtMs = [nowMs];
  }

  turn(nowMs: number): void {
    this.#turnsAtMs.push(nowMs);
    if (this.#turnsAtMs.length > SAMPLES + 1) this.#turnsAtMs.shift();
  }

  /** Nobody waits any more. */
  dispersed(): void {
    this.#turnsAtMs = [];
  }

  /** From one to the next; undefined while the line has not moved. */
  perTurnMs(nowMs: number): number | undefined {
    const sinceMs = this.#turnsAtMs[0];
    const turns = this.#turnsAtMs.length - 1;
    return sinceMs === undefined || turns === 0
      ? undefined
      : (nowMs - sinceMs) / Math.max(turns, MIN_SAMPLES);
  }
}
