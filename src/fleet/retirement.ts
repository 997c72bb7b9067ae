import type { Deployment } from '../core/deployment.ts';

type AnyBackend = Deployment['backend'];

const POLL_MS = 200;
/** A request that was given the backend a moment ago may not have reached it yet. */
const IDLE_POLLS = 2;

/** Backends that get no new requests any more: each is closed once its running ones have finished. */
export class Retirement {
  readonly #idlePolls = new Map<AnyBackend, number>();
  #timer: NodeJS.Timeout | undefined;

  /** Those that still have something to finish. */
  get backends(): readonly AnyBackend[] {
    return [...this.#idlePolls.keys()];
  }

  add(backend: AnyBackend): void {
    this.#idlePolls.set(backend, 0);
    this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
  }

  /** Ends all of them at once. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.backends.map((backend) => backend.close()));
    this.#idlePolls.clear();
  }

  #poll(): void {
    for (const [backend, polls] of this.#idlePolls) {
      const idle = backend.health().inFlight === 0 ? polls + 1 : 0;
      this.#idlePolls.set(backend, idle);
      if (idle < IDLE_POLLS) continue;
      this.#idlePolls.delete(backend);
      void backend.close();
    }
    if (this.#idlePolls.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
