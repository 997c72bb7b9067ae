import type { ProjectInLine } from '../../core/report.ts';
import type { Tenant } from '../request/tenant.ts';
import { crowdingWith, isExcessive, mostCrowded, turnsBefore } from './line-shares.ts';
import { QueuePace } from './queue-pace.ts';
import type { TenantAccount, Urgent } from './tenant-account.ts';
import { TokenCounters } from './token-counters.ts';
import { Unserved } from './unserved.ts';

/** Who wants to be served, and until when. */
export interface Asker {
  readonly tenant: Tenant;
  /** When its client gives up, on the same clock as the queue's. */
  readonly deadlineAtMs?: number | undefined;
  /** Only in place of another: the line is to grow no longer. */
  readonly replacing?: boolean;
}

interface Waiter<T> extends Urgent {
  readonly sinceMs: number;
  claim(): T | undefined;
  settle(result: T | Unserved): void;
  fail(error: unknown): void;
}

export interface FairQueueOptions {
  /** How many may wait, of all tenants together. */
  readonly capacity: number;
  readonly maxWaitMs: number;
  /** Also refuses at once whoever would wait longer than that, going by how fast the line moves. */
  readonly foresees?: boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Those that wait are looked after this often, in case what they wait for comes unannounced. */
const TICK_MS = 50;
/**
 * Whoever would have to wait for more than this share of its time is refused at once: the line may turn out to be
 * slower, and a refusal is best told early.
 */
const FORESEEN = 0.75;
/**
 * A tenant has to have this many times as much in line for one of its requests to go: among nearly equal ones whoever
 * comes is refused at once, and nobody has waited in vain.
 */
const FAR_MORE = 1.5;
/** How many that cannot be served yet may be passed over for others behind them. */
const MAX_PASSED_BY = 16;
/** The same for one tenant: where a few of its requests find no room, the others hardly will. */
const MAX_PASSED_BY_PER_TENANT = 4;

/**
 * Those that wait for a place, served in this order: the better priority band first; within it the tenant with the fewest
 * virtual tokens (`TokenCounters`); of a tenant's requests the one with the earliest deadline.
 *
 *   - Nobody waits for ever, and whoever leaves is forgotten at once.
 *   - A full queue makes room for a tenant that has far less in line than another: the newest request of the one that
 *     has the most, by weight, has to go.
 *   - What is foreseen for a tenant depends on its own line: a long one of another tenant is no reason to refuse it.
 */
export class FairQueue<T> {
  #options: FairQueueOptions;
  readonly counters = new TokenCounters<Waiter<T>>(() => this.#pace.turn(this.#options.now()));
  /** In the order in which they came; a set forgets in constant time. */
  readonly #waiters = new Set<Waiter<T>>();
  readonly #pace = new QueuePace();
  /** `share`: how many of all that were refused had a tenant with more in line than its share. */
  readonly rejected = { full: 0, timeout: 0, share: 0 };
  /**
   * How many more there is room for where those in line want to go, as of the last that found none. Above 0: it is
   * kept from them for others. Below 0: so many have to leave before anybody is served.
   */
  room = 0;
  /** A tenant that is alone in line may soon be served faster than now. */
  opens = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiters.size;
  }

  /** How long the one that came first has waited. */
  get headAgeMs(): number {
    const [head] = this.#waiters;
    return head === undefined ? 0 : this.#options.now() - head.sinceMs;
  }

  /** The tenants with the most in line. */
  longest(count: number): readonly ProjectInLine[] {
    const nowMs = this.#options.now();
    const { waiting } = this.counters;
    return [...waiting]
      .sort((a, b) => b.line.length - a.line.length)
      .slice(0, count)
      .map(({ id, line }) => ({
        projectId: id,
        queued: line.length,
        position: Math.floor(turnsBefore(waiting, line[0]!.tenant)) + 1,
        waitedMs: Math.round(nowMs - Math.min(...line.map(({ sinceMs }) => sinceMs))),
      }));
  }

  /**
   * How long a request of the tenant that comes now will wait; undefined while the line has not moved. Where little
   * of it has, it will be longer.
   */
  expectedWaitMs(tenant: Tenant): number | undefined {
    const perTurnMs = this.#pace.perTurnMs(this.#options.now());
    if (perTurnMs === undefined) return undefined;
    const before = turnsBefore(this.counters.waiting, tenant, this.counters.isIdle(tenant));
    return perTurnMs * (before + 1 + Math.max(0, -this.room));
  }

  /**
   * Whether a request of the tenant that comes now may go past those in line, which may wait for something that it
   * does not need.
   */
  mayPass({ projectId, priority }: Tenant): boolean {
    for (const { id, head } of this.counters.waiting)
      if (id === projectId || head!.tenant.priority < priority) return false;
    return true;
  }

  /** Those that wait already wait for no longer, either. */
  resize(bounds: Pick<FairQueueOptions, 'capacity' | 'maxWaitMs'>): void {
    this.#options = { ...this.#options, ...bounds };
  }

  /**
   * Waits until `claim`, called whenever something may have become free, returns what was waited for.
   *
   * @throws The reason of the signal, and what `claim` throws: that concerns the one who waits, not whoever made room.
   */
  wait(asker: Asker, claim: () => T | undefined, signal: AbortSignal): Promise<T | Unserved> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const { tenant, deadlineAtMs = Number.POSITIVE_INFINITY } = asker;
    const { now, maxWaitMs, foresees } = this.#options;
    const sinceMs = now();
    const dueAtMs = Math.min(deadlineAtMs, sinceMs + maxWaitMs);
    const isHopeless =
      foresees === true &&
      this.#keptFrom(tenant) === 0 &&
      (this.expectedWaitMs(tenant) ?? 0) > (dueAtMs - sinceMs) * FORESEEN;
    if (isHopeless || !this.#hasRoomFor(asker))
      return Promise.resolve(this.refuse('full', tenant, isExcessive(this.counters.waiting, tenant, 1)));
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        this.counters.leave(account, waiter);
        if (this.#waiters.size === 0) this.#stop();
      };
      const onAbort = () => {
        leave();
        reject(signal.reason as Error);
      };
      const waiter: Waiter<T> = {
        tenant,
        sinceMs,
        dueAtMs,
        claim,
        settle(result) {
          leave();
          resolve(result);
        },
        fail(error) {
          leave();
          reject(error as Error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (this.#waiters.size === 0) this.#pace.formed(sinceMs);
      this.#waiters.add(waiter);
      const account = this.counters.join(waiter);
      this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    });
  }

  /** Another tenant has so much more in line than this one that its newest request may have to go for one of this one's. */
  mayReplaceAnother(tenant: Tenant): boolean {
    return this.#newestOfFarMore(tenant) !== undefined;
  }

  /** Counts one that is refused. It need not stay away for longer than anybody waits here. */
  refuse(reason: Unserved['reason'], tenant: Tenant, excessive: boolean): Unserved {
    this.rejected[reason] += 1;
    if (excessive) this.rejected.share += 1;
    const comeBackMs = this.expectedWaitMs(tenant) ?? this.headAgeMs;
    return new Unserved(reason, excessive, Math.min(comeBackMs, this.#options.maxWaitMs));
  }

  /** Something may have become free. @returns Whether anybody was served. */
  pump(): boolean {
    let served = false;
    let passedBy = 0;
    const passed = new Set<TenantAccount<Waiter<T>>>();
    while (passedBy < MAX_PASSED_BY) {
      const account = this.#next(passed);
      if (account === undefined) break;
      const tried = this.#serveOneOf(account);
      if (tried === 0) served = true;
      else passed.add(account);
      passedBy += tried;
    }
    return served;
  }

  /** @returns How many were tried in vain; 0: one has left the line. */
  #serveOneOf({ line }: TenantAccount<Waiter<T>>): number {
    const most = Math.min(line.length, MAX_PASSED_BY_PER_TENANT);
    for (let i = 0; i < most; i += 1) {
      const waiter = line[i]!;
      let claimed: T | undefined;
      try {
        claimed = waiter.claim();
      } catch (error) {
        waiter.fail(error);
        return 0;
      }
      if (claimed === undefined) continue;
      waiter.settle(claimed);
      return 0;
    }
    return most;
  }

  #next(passed: ReadonlySet<TenantAccount<Waiter<T>>>): TenantAccount<Waiter<T>> | undefined {
    let next: TenantAccount<Waiter<T>> | undefined;
    for (const account of this.counters.waiting)
      if (!passed.has(account) && (next === undefined || isBefore(account, next))) next = account;
    return next;
  }

  /** There is room in line, if need be at the cost of the tenant that has the most there. */
  #hasRoomFor({ tenant, replacing = false }: Asker): boolean {
    if (!replacing && this.#waiters.size < this.#options.capacity + this.#keptFrom(tenant)) return true;
    const newest = this.#newestOfFarMore(tenant);
    if (newest === undefined) return false;
    const excessive = newest.tenant.priority === tenant.priority;
    newest.settle(this.refuse('full', newest.tenant, excessive));
    return true;
  }

  /** Of the tenant that has the most in line, if that is far more than this one has. */
  #newestOfFarMore(tenant: Tenant): Waiter<T> | undefined {
    const { waiting } = this.counters;
    const last = mostCrowded(waiting);
    const newest = last?.line.at(-1);
    if (last === undefined || newest === undefined || newest.tenant.priority < tenant.priority)
      return undefined;
    const isSameBand = newest.tenant.priority === tenant.priority;
    return isSameBand && last.crowding <= crowdingWith(waiting, tenant, 1) * FAR_MORE ? undefined : newest;
  }

  /**
   * How much room is kept from the tenant, alone in line, until it has shown that it hurts nobody: no reason to refuse any of
   * its requests.
   */
  #keptFrom({ projectId }: Tenant): number {
    const { waiting } = this.counters;
    const [only] = waiting;
    return this.opens && waiting.size === 1 && only!.id === projectId ? Math.max(0, this.room) : 0;
  }

  #tick(): void {
    const dueMs = this.#options.now() - this.#options.maxWaitMs;
    for (const waiter of this.#waiters) {
      if (waiter.sinceMs > dueMs) break;
      waiter.settle(
        this.refuse('timeout', waiter.tenant, isExcessive(this.counters.waiting, waiter.tenant, 0)),
      );
    }
    this.pump();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#pace.dispersed();
  }
}

function isBefore<T>(a: TenantAccount<Waiter<T>>, b: TenantAccount<Waiter<T>>): boolean {
  const bands = a.head!.tenant.priority - b.head!.tenant.priority;
  if (bands !== 0) return bands < 0;
  if (a.counter !== b.counter) return a.counter < b.counter;
  return a.running / a.weight < b.running / b.weight;
}
