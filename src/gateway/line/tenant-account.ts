import type { Tenant } from '../request/tenant.ts';

/** Somebody in a tenant's line. */
export interface Urgent {
  readonly tenant: Tenant;
  /** When it has to be served: by its client's deadline, or before the queue gives up on it. */
  readonly dueAtMs: number;
}

/** One tenant's virtual tokens, and its own line: the better band first, then the earliest deadline, then the first to come. */
export class TenantAccount<W extends Urgent> {
  readonly id: string;
  /** As the latest request had it. */
  weight: number;
  /** Tokens that it has had or will have had, by weight; the tenant with the fewest is next. */
  counter = 0;
  /** Requests that were charged and are not settled, and what they were charged. */
  running = 0;
  pending = 0;
  readonly line: W[] = [];

  constructor({ projectId, weight }: Tenant) {
    this.id = projectId;
    this.weight = weight;
  }

  get head(): W | undefined {
    return this.line[0];
  }

  /** The length of its line for its weight. */
  get crowding(): number {
    return this.line.length / this.weight;
  }

  join(waiter: W): void {
    let at = this.line.length;
    while (at > 0 && isBefore(waiter, this.line[at - 1]!)) at -= 1;
    this.line.splice(at, 0, waiter);
  }

  leave(waiter: W): void {
    const at = this.line.indexOf(waiter);
    if (at >= 0) this.line.splice(at, 1);
  }
}

function isBefore(a: Urgent, b: Urgent): boolean {
  if (a.tenant.priority !== b.tenant.priority) return a.tenant.priority < b.tenant.priority;
  return a.dueAtMs < b.dueAtMs;
}
