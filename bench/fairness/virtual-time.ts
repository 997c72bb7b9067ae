/** A clock that jumps from one event to the next. */
export class VirtualTime {
  #nowMs = 0;
  #events: { readonly atMs: number; readonly order: number; readonly act: () => void }[] = [];
  #order = 0;

  readonly now = (): number => this.#nowMs;

  after(ms: number, act: () => void): void {
    const event = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, act };
    let low = 0;
    let high = this.#events.length;
    // Latest first.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.atMs > event.atMs) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Timers that tick are ours from now on. @returns Gives them back. */
  take(): () => void {
    const { setInterval, clearInterval } = globalThis;
    globalThis.setInterval = ((act: () => void, everyMs: number) => {
      const ticker = { ends: false, unref: () => ticker };
      const tick = () => {
        if (ticker.ends) return;
        act();
        this.after(everyMs, tick);
      };
      this.after(everyMs, tick);
      return ticker;
    }) as unknown as typeof setInterval;
    globalThis.clearInterval = ((ticker: { ends: boolean } | undefined) => {
      if (ticker !== undefined) ticker.ends = true;
    }) as typeof clearInterval;
    return () => Object.assign(globalThis, { setInterval, clearInterval });
  }

  async run(untilMs: number): Promise<void> {
    for (;;) {
      await new Promise(setImmediate);
      const next = this.#events.at(-1);
      if (next === undefined || next.atMs > untilMs) break;
      this.#events.pop();
      this.#nowMs = next.atMs;
      next.act();
    }
    this.#nowMs = untilMs;
  }
}
