/** Of fewer that ended, nobody knows how fast the line moves. */
const MIN_SAMPLES = 8;
const SAMPLES = 32;

/**
 * How fast a line moves: as fast as those end whose tenants have more in line. Those that are served out of it would tell the same, but for
 * a line that stands because more are inside than may be.
 */
export class QueuePace {
  /** When the line formed, and then when each ended; of late. */
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

  /** From one to the next; undefined while the line has not moved enough to tell. */
  perTurnMs(nowMs: number): number | undefined {
    const sinceMs = this.#turnsAtMs[0];
    const turns = this.#turnsAtMs.length - 1;
    return sinceMs === undefined || turns < MIN_SAMPLES ? undefined : (nowMs - sinceMs) / turns;
  }
}
