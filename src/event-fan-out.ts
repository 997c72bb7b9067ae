import type { Emit, GatewayEvent } from './core/event.ts';
import { recordSoon } from './core/write-batch.ts';

/** Called with what an observer threw. The others are told all the same. */
export type OnFault = (error: unknown, event: GatewayEvent) => void;

/**
 * Tells every observer of every event. What happens with each request is told at the end of the event loop's turn, to one observer after the other:
 * a busy turn has a dozen such events, and an observer's code is still in the processor's caches for the second. Recorders hear of it before
 * anything that was written in that turn is sent.
 */
export class EventFanOut {
  readonly #onFault: OnFault;
  readonly #recorders: Emit[] = [];
  readonly #observers: Emit[] = [];
  #unrecorded: GatewayEvent[] = [];
  #later: GatewayEvent[] = [];

  constructor(onFault: OnFault) {
    this.#onFault = onFault;
  }

  add(...observers: readonly Emit[]): void {
    this.#observers.push(...observers);
  }

  addRecorder(recorder: Emit): void {
    this.#recorders.push(recorder);
  }

  readonly emit = (event: GatewayEvent): void => {
    switch (event.type) {
      case 'request-admitted':
      case 'request-begun':
      case 'request-settled':
        if (this.#unrecorded.push(event) === 1) recordSoon(this.#record);
        if (this.#later.push(event) === 1) setImmediate(this.#tellLater);
        return;
      default:
        this.#tell(this.#recorders, [event]);
        this.#tell(this.#observers, [event]);
    }
  };

  /** Tells what has been left for later. */
  flush(): void {
    this.#record();
    this.#tellLater();
  }

  readonly #record = (): void => {
    const events = this.#unrecorded;
    this.#unrecorded = [];
    this.#tell(this.#recorders, events);
  };

  readonly #tellLater = (): void => {
    const events = this.#later;
    this.#later = [];
    this.#tell(this.#observers, events);
  };

  #tell(observers: readonly Emit[], events: readonly GatewayEvent[]): void {
    for (const observe of observers)
      for (const event of events)
        try {
          observe(event);
        } catch (error) {
          this.#onFault(error, event);
        }
  }
}
