import { randomBytes } from 'node:crypto';
import type { Limits } from '../core/caller.ts';
import type { RateStatus } from '../core/error.ts';
import type { Admission, AdmissionAsk, Reservation } from '../gateway/admission.ts';
import { leftOf, waitMs } from './leaky-bucket.ts';
import { type LocalAdmission, type LocalReservation, tighter, wantedOf } from './local-admission.ts';
import type { RedisLink, RedisLinkOptions, RedisTimes } from './redis-link.ts';
import { SCRIPTS } from './redis-scripts.ts';
import { refusal } from './refusal.ts';
import { type SettledLine, Settlements } from './settlements.ts';
import type { SteadyClock } from './steady-clock.ts';
import { budgetRetryMs, concurrencyRetryMs, type Obstacle, type Wanted } from './subject.ts';
import { countable, type Party, partiesOf } from './subjects.ts';

export interface RedisAdmissionOptions {
  /** Counts along, and decides where Redis cannot. */
  readonly local: LocalAdmission;
  readonly clock: SteadyClock;
  readonly times: RedisTimes;
  readonly link: (listener: Pick<RedisLinkOptions, 'onBack' | 'onProblem'>) => RedisLink;
  readonly onProblem?: ((problem: string | undefined) => void) | undefined;
}

/** For metrics. */
export interface RedisStats {
  readonly up: boolean;
  /** Processes that count together. */
  readonly replicas: number;
  /** Requests that this process had to decide about alone, since it began. */
  readonly decidedAlone: number;
  /** Settlements that Redis has not taken yet. */
  readonly unsettled: number;
  /** Settlements that it will never take, since it was away for too long. The ledger has them. */
  readonly lost: number;
}

/** Of the limits, in the order that the script has them. */
const LIMITS = [
  'requestsPerMinute',
  'tokensPerMinute',
  'concurrency',
  'nanoUsdPerDay',
  'nanoUsdPerMonth',
] as const satisfies readonly (keyof Limits)[];
/** By the number that the script tells. */
const OBSTACLES = [
  'concurrency',
  'requestsPerMinute',
  'tokensPerMinute',
  'nanoUsdPerDay',
  'nanoUsdPerMonth',
] as const satisfies readonly (keyof Limits)[];
/** One tag, so that a cluster has all keys in one place: a script sees them together. */
const TAG = '{qianmen}';
const CLOCK = `${TAG}:clock`;
const GATEWAYS = `${TAG}:gateways`;
const RENEWED_AT_ONCE = 200;
const FLUSH_MS = 1_000;

/**
 * Counts in Redis together with other gateways: one script decides about a request, with all whose limits it falls under. What it admits is
 * counted along in this process, so that there is something to go by when Redis is gone: then this process gives out its share of each limit.
 */
export class RedisAdmission implements Admission {
  readonly ready: Promise<void>;
  readonly #options: RedisAdmissionOptions;
  readonly #link: RedisLink;
  readonly #settlements: Settlements;
  readonly #gateway = randomBytes(9).toString('base64url');
  readonly #live = new Set<Held>();
  readonly #ownShare: number;
  readonly #heartbeat: NodeJS.Timeout;
  #last = 0;
  #replicas = 1;
  #decidedAlone = 0;

  constructor(options: RedisAdmissionOptions) {
    this.#options = options;
    this.#ownShare = options.local.share;
    this.#link = options.link({
      onBack: () => this.#renew(),
      onProblem: (problem) => {
        options.onProblem?.(problem === undefined ? undefined : this.problem);
        if (problem === undefined) void this.#settlements.flush();
      },
    });
    this.#settlements = new Settlements({
      sends: () => this.#link.up,
      send: (keys, args) => {
        const { day, month } = options.clock.periods();
        const all = [CLOCK, `${TAG}:settled:${this.#gateway}`, ...keys];
        return this.#link.run(SCRIPTS.settle, all, [this.#stepMs, `${day}`, `${month}`, ...args]);
      },
    });
    this.ready = this.#link.start();
    this.#heartbeat = setInterval(() => {
      if (this.#link.up) this.#renew().catch(() => {});
    }, options.times.heartbeatMs).unref();
  }

  get problem(): string | undefined {
    const { problem } = this.#link;
    if (problem === undefined) return undefined;
    const percent = Math.round(this.#options.local.share * 1_000) / 10;
    return `${problem}; this process gives out ${percent} % of every limit by itself`;
  }

  stats(): RedisStats {
    return {
      up: this.#link.up,
      replicas: this.#replicas,
      decidedAlone: this.#decidedAlone,
      unsettled: this.#settlements.waiting,
      lost: this.#settlements.lost,
    };
  }

  admit(ask: AdmissionAsk): Reservation | Promise<Reservation> {
    const parties = partiesOf(ask).filter(({ limits }) => LIMITS.some((name) => limits[name] !== undefined));
    if (parties.length === 0) return this.#options.local.hold(ask);
    this.#last += 1;
    const id = `${this.#gateway}-${this.#last}`;
    return this.#link.up ? this.#decide(id, ask, parties) : this.#decideAlone(id, ask, linesOf(parties));
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await Promise.race([this.#settlements.flush(), new Promise((done) => setTimeout(done, FLUSH_MS))]);
    await this.#link.close();
  }

  async #decide(id: string, ask: AdmissionAsk, parties: readonly Party[]): Promise<Reservation> {
    const wanted = wantedOf(ask);
    let reply: Reply;
    try {
      const keys = [CLOCK, ...parties.flatMap(keysOf)];
      reply = replyOf(await this.#link.run(SCRIPTS.admit, keys, this.#argsOf(id, wanted, parties)));
    } catch {
      return this.#decideAloneAfterAll(id, ask, linesOf(parties));
    }
    const rate = rateOf(parties, reply);
    const refusedBy = parties[reply.refusedBy - 1];
    if (refusedBy !== undefined) {
      const obstacle = this.#obstacle(reply, refusedBy.limits, wanted);
      throw refusal(obstacle, refusedBy.kind, refusedBy.limits, wanted, rate);
    }
    const lines = parties.map((party, at) => lineOf(party, wanted.tokens, reply.levels[at]!.end));
    return this.#held(this.#options.local.hold(ask), id, wanted, lines, rate);
  }

  #decideAlone(id: string, ask: AdmissionAsk, lines: readonly SettledLine[]): Reservation {
    this.#decidedAlone += 1;
    const reservation = this.#options.local.admit(ask);
    return this.#held(reservation, id, wantedOf(ask), lines, reservation.rate);
  }

  /** Redis may have admitted the request all the same, too late: whatever it holds for one that is refused here is given back. */
  #decideAloneAfterAll(id: string, ask: AdmissionAsk, lines: readonly SettledLine[]): Reservation {
    try {
      return this.#decideAlone(id, ask, lines);
    } catch (error) {
      this.#settlements.push(leaseOf(id, wantedOf(ask)), lines, { tokens: 0, nanoUsd: 0 });
      throw error;
    }
  }

  #held(
    local: LocalReservation,
    id: string,
    wanted: Wanted,
    lines: readonly SettledLine[],
    rate: RateStatus,
  ): Reservation {
    const held: Held = { lease: leaseOf(id, wanted), lines };
    this.#live.add(held);
    return {
      rate,
      settle: (used) => {
        local.settle(used);
        this.#live.delete(held);
        const counted = { tokens: countable(used.tokens), nanoUsd: countable(used.nanoUsd) };
        this.#settlements.push(held.lease, lines, counted);
      },
    };
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#options.times;
    const leases = [...this.#live].flatMap(({ lease, lines }) =>
      lines.filter(({ leased }) => leased).map(({ keys }) => ({ lease, keys })),
    );
    let from = 0;
    do {
      const some = leases.slice(from, from + RENEWED_AT_ONCE);
      from += some.length;
      const keys = [CLOCK, GATEWAYS, ...some.flatMap((one) => one.keys)];
      const args = [this.#stepMs, `${leaseMs}`, this.#gateway, ...some.map(({ lease }) => lease)];
      this.#replicas = Math.max(1, Number(await this.#link.run(SCRIPTS.renew, keys, args)));
    } while (from < leases.length);
    this.#options.local.share = Math.min(this.#ownShare, 1 / this.#replicas);
  }

  /** A jump of Redis's clock counts for no more than two heartbeats. */
  get #stepMs(): string {
    return `${2 * this.#options.times.heartbeatMs}`;
  }

  #argsOf(id: string, { tokens, nanoUsd }: Wanted, parties: readonly Party[]): string[] {
    const { local, clock, times } = this.#options;
    const periods = clock.periods();
    const { day, month } = periods;
    const args = [this.#stepMs, `${times.leaseMs}`, id, `${tokens}`, `${nanoUsd}`, `${day}`, `${month}`];
    for (const { kind, id, limits } of parties) {
      for (const name of LIMITS) args.push(`${limits[name] ?? ''}`);
      const spent = local.spent(kind, id, periods);
      args.push(`${spent.day}`, `${spent.month}`);
    }
    return args;
  }

  #obstacle({ limit, levels, refusedBy }: Reply, limits: Limits, wanted: Wanted): Obstacle {
    const { requests, tokens } = levels[refusedBy - 1]!;
    const periods = this.#options.clock.periods();
    switch (limit) {
      case 'concurrency':
        return { limit, retryAfterMs: concurrencyRetryMs(limits.concurrency ?? 0) };
      case 'requestsPerMinute':
        return { limit, retryAfterMs: waitMs(requests, 1, limits.requestsPerMinute ?? 0) };
      case 'tokensPerMinute':
        return { limit, retryAfterMs: waitMs(tokens, wanted.tokens, limits.tokensPerMinute ?? 0) };
      case 'nanoUsdPerDay':
        return { limit, retryAfterMs: budgetRetryMs(periods.dayLeftMs) };
      case 'nanoUsdPerMonth':
        return { limit, retryAfterMs: budgetRetryMs(periods.monthLeftMs) };
    }
  }
}

interface Held {
  readonly lease: string;
  readonly lines: readonly SettledLine[];
}

interface Level {
  readonly requests: number;
  readonly tokens: number;
  /** Where what was taken of the tokens ends, as exactly as Redis has it. */
  readonly end: string;
}

interface Reply {
  /** Which of those asked about, from 1; 0: none. */
  readonly refusedBy: number;
  readonly limit: (typeof OBSTACLES)[number];
  readonly levels: readonly Level[];
}

function replyOf(reply: unknown): Reply {
  if (!Array.isArray(reply)) throw new Error('Redis replied with something else than a decision');
  const [refusedBy, limit, ...rest] = reply.map(String);
  const levels: Level[] = [];
  for (let i = 0; i + 2 < rest.length; i += 3)
    levels.push({ requests: Number(rest[i]), tokens: Number(rest[i + 1]), end: rest[i + 2]! });
  return { refusedBy: Number(refusedBy), limit: OBSTACLES[Number(limit) - 1] ?? 'concurrency', levels };
}

function rateOf(parties: readonly Party[], { levels }: Reply): RateStatus {
  let requests: RateStatus['requests'];
  let tokens: RateStatus['tokens'];
  for (const [at, { limits }] of parties.entries()) {
    const { requestsPerMinute, tokensPerMinute } = limits;
    const level = levels[at]!;
    if (requestsPerMinute !== undefined)
      requests = tighter(requests, leftOf(level.requests, requestsPerMinute));
    if (tokensPerMinute !== undefined) tokens = tighter(tokens, leftOf(level.tokens, tokensPerMinute));
  }
  return { requests, tokens };
}

function keysOf({ kind, id }: Party): [hash: string, leases: string] {
  return [`${TAG}:use:${kind}:${id}`, `${TAG}:leases:${kind}:${id}`];
}

function lineOf(party: Party, tokens: number, end: string): SettledLine {
  const { requestsPerMinute, tokensPerMinute, concurrency, nanoUsdPerDay, nanoUsdPerMonth } = party.limits;
  return {
    keys: keysOf(party),
    requestsPerMinute,
    tokensPerMinute,
    leased: concurrency !== undefined || nanoUsdPerDay !== undefined || nanoUsdPerMonth !== undefined,
    taken: { tokens, end },
  };
}

/** Of a request that Redis has not been asked about, or not to the end. */
function linesOf(parties: readonly Party[]): readonly SettledLine[] {
  return parties.map((party) => lineOf(party, 0, '0'));
}

function leaseOf(id: string, { nanoUsd }: Wanted): string {
  return `${id}:${nanoUsd}`;
}
