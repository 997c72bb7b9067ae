/** Of fewer that were served, nobody knows how fast the line moves. */
const MIN_SAMPLES = 8;
const SAMPLES = 32;

/** How fast a line moves, told by those that were served last. */
export class QueuePace {
  /** When the line formed, and then when each was served; of late. */
  #servedAtMs: number[] = [];

  formed(nowMs: number): void {
    this.#servedAtMs = [nowMs];
  }

  served(nowMs: number): void {
    this.#servedAtMs.push(nowMs);
    if (this.#servedAtMs.length > SAMPLES + 1) this.#servedAtMs.shift();
  }

  /** Nobody waits any more. */
  dispersed(): void {
    this.#servedAtMs = [];
  }

  /** From one to the next; undefined while the line has not moved enough to tell. */
  perTurnMs(nowMs: number): number | undefined {
    const sinceMs = this.#servedAtMs[0];
    const turns = this.#servedAtMs.length - 1;
    return sinceMs === undefined || turns < MIN_SAMPLES ? undefined : (nowMs - sinceMs) / turns;
  }
}
