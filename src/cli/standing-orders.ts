import type { CanaryRolledBack } from '../core/event.ts';
import type { DrainOrder } from './worker-messages.ts';

/** What has been said of upstreams and canaries, by operators or by one of the workers: it holds in all, also in those that start later. */
export class StandingOrders {
  readonly #drains = new Map<string, DrainOrder>();
  readonly #rollBacks = new Map<string, CanaryRolledBack>();

  /** The latest word about a name counts, in the order in which the words were said. */
  drain(order: DrainOrder): void {
    this.#drains.delete(order.name);
    this.#drains.set(order.name, order);
  }

  rollBack(found: CanaryRolledBack): void {
    this.#rollBacks.set(`${found.model}\n${found.deployment}`, found);
  }

  /** In every model that it serves. */
  resume(deployment: string): void {
    for (const [key, found] of this.#rollBacks)
      if (found.deployment === deployment) this.#rollBacks.delete(key);
  }

  /** For a worker that starts. */
  get all(): { readonly drains: readonly DrainOrder[]; readonly rollBacks: readonly CanaryRolledBack[] } {
    return { drains: [...this.#drains.values()], rollBacks: [...this.#rollBacks.values()] };
  }
}
