import type { Emit, GatewayEvent } from './core/event.ts';

/** Called with what an observer threw. The others are told all the same. */
export type OnFault = (error: unknown, event: GatewayEvent) => void;

/**
 * Tells every observer of every event. What happens with each request is told at the end of the event loop's turn, to one observer after the other:
 * a busy turn has a dozen such events, and an observer's code is still in the processor's caches for the second.
 */
export class EventFanOut {
  readonly #onFault: OnFault;
  readonly #observers: Emit[] = [];
  #later: GatewayEvent[] = [];

  constructor(onFault: OnFault) {
    this.#onFault = onFault;
  }

  add(...observers: readonly Emit[]): void {
    this.#observers.push(...observers);
  }

  readonly emit = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' && event.type !== 'request-admitted') this.#tell([event]);
    else if (this.#later.push(event) === 1) setImmediate(this.flush);
  };

  /** Tells what has been left for later. */
  readonly flush = (): void => {
    const events = this.#later;
    this.#later = [];
    this.#tell(events);
  };

  #tell(events: readonly GatewayEvent[]): void {
    for (const observe of this.#observers)
      for (const event of events)
        try {
          observe(event);
        } catch (error) {
          this.#onFault(error, event);
        }
  }
}
