import type { Tenant } from '../request/tenant.ts';
import { TenantAccount, type Urgent } from './tenant-account.ts';

/** A token of the output costs a backend about twice what one of the prompt costs: as in the paper. */
const OUTPUT_WEIGHT = 2;
/** Beside a line that is so many times as long, a tenant has none of its own. */
const FAR_MORE = 3;
/** Beyond so many tenants idle ones are forgotten. */
const MANY = 1_000;

export interface Tokens {
  readonly prompt: number;
  readonly output: number;
}

/**
 * Virtual token counters (Sheng et al., Fairness in Serving Large Language Models, OSDI 2024): a tenant is charged
 * for what it is given, and whoever has been charged least, by weight, is served next. The prompt and the output that
 * is expected are charged at dispatch, and corrected when the request is settled.
 *
 * A tenant that waits for nothing saves nothing up: when it comes back it is lifted to the least counter of those that wait
 * or, where nobody does, to where the last one was served. Where nobody waits, charging is one look-up and one addition.
 */
export class TokenCounters<W extends Urgent> {
  readonly #accounts = new Map<string, TenantAccount<W>>();
  /** Those with somebody in line. */
  readonly waiting = new Set<TenantAccount<W>>();
  readonly #onTurn: () => void;
  #running = 0;
  /** The counter of whoever was served last, while nobody waits. */
  #level = 0;

  /** @param onTurn Called when a request has ended that was in line, or whose tenant has more there, while anybody waits. */
  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  /** Tenants that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  of(tenant: Tenant): TenantAccount<W> {
    let account = this.#accounts.get(tenant.projectId);
    if (account === undefined) {
      account = new TenantAccount(tenant);
      this.#accounts.set(tenant.projectId, account);
    }
    account.weight = tenant.weight;
    return account;
  }

  /** It has nothing in line and nothing running. */
  isIdle({ projectId }: Tenant): boolean {
    const account = this.#accounts.get(projectId);
    return account === undefined || isIdle(account);
  }

  /** It has a line of its own: more than one request, and for its weight not far fewer than any other. */
  hasLine({ projectId }: Tenant): boolean {
    const account = this.#accounts.get(projectId);
    if (account === undefined || account.line.length <= 1) return false;
    for (const { crowding } of this.waiting) if (crowding > FAR_MORE * account.crowding) return false;
    return true;
  }

  join(waiter: W): TenantAccount<W> {
    const account = this.of(waiter.tenant);
    if (account.line.length === 0) this.#lift(account);
    account.join(waiter);
    this.waiting.add(account);
    return account;
  }

  leave(account: TenantAccount<W>, waiter: W): void {
    account.leave(waiter);
    if (account.line.length > 0) return;
    this.waiting.delete(account);
    this.#forget(account);
  }

  /** A request is dispatched. @returns What it was charged, for `settle`. */
  charge(tenant: Tenant, expected: Tokens): Charge<W> {
    const account = this.of(tenant);
    if (account.line.length === 0) this.#lift(account);
    this.#level = Math.max(this.#level, account.counter - account.pending);
    const cost = costOf(expected) / account.weight;
    account.counter += cost;
    account.pending += cost;
    account.running += 1;
    this.#running += 1;
    // One that comes out of the line is still in it now.
    return { account, cost, waited: account.line.length > 0 };
  }

  /** Exactly once. @param used Undefined: nothing, and all is given back. */
  settle({ account, cost, waited }: Charge<W>, used: Tokens | undefined): void {
    account.counter += (used === undefined ? 0 : costOf(used) / account.weight) - cost;
    account.pending -= cost;
    account.running -= 1;
    this.#running -= 1;
    if (account.line.length > 0 || (waited && this.waiting.size > 0)) this.#onTurn();
    this.#forget(account);
  }

  #lift(account: TenantAccount<W>): void {
    let least = this.waiting.size === 0 ? this.#level : Number.POSITIVE_INFINITY;
    // What runs has only been expected to cost that much: a newcomer must not wait until that is corrected.
    for (const { counter, pending } of this.waiting) least = Math.min(least, counter - pending);
    account.counter = Math.max(account.counter, least);
  }

  /** Whoever would be lifted anyway need not be remembered; when all is quiet, nobody need be. */
  #forget(account: TenantAccount<W>): void {
    if (this.#running === 0 && this.waiting.size === 0) {
      this.#accounts.clear();
      this.#level = 0;
    } else if (isIdle(account) && (account.counter <= this.#level || this.#accounts.size > MANY))
      this.#accounts.delete(account.id);
  }
}

/** What one request was charged. */
export interface Charge<W extends Urgent> {
  readonly account: TenantAccount<W>;
  /** By weight. */
  readonly cost: number;
  /** It has been in line. */
  readonly waited: boolean;
}

function costOf({ prompt, output }: Tokens): number {
  return prompt + OUTPUT_WEIGHT * output;
}

function isIdle({ line, running }: TenantAccount<Urgent>): boolean {
  return line.length === 0 && running === 0;
}
