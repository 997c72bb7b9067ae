import { randomBytes } from 'node:crypto';
import type { RateStatus } from '../core/error.ts';
import type { Admission, AdmissionAsk, Reservation } from '../gateway/request/admission.ts';
import { type LocalAdmission, type LocalReservation, wantedOf } from './local-admission.ts';
import {
  argsOf,
  isLimited,
  keysOf,
  obstacleOf,
  type Reply,
  rateOf,
  renewedOf,
  replyOf,
  TAG,
} from './redis-decision.ts';
import type { RedisLink, RedisLinkOptions, RedisTimes } from './redis-link.ts';
import { SCRIPTS } from './redis-scripts.ts';
import { refusal } from './refusal.ts';
import { type SettledLine, Settlements } from './settlements.ts';
import type { SteadyClock } from './steady-clock.ts';
import type { Wanted } from './subject.ts';
import { countable, type Party, partiesOf } from './subjects.ts';
import { Untold } from './untold.ts';

export interface RedisAdmissionOptions {
  /** Keeps count as well, and decides where Redis cannot. */
  readonly local: LocalAdmission;
  readonly clock: SteadyClock;
  readonly times: RedisTimes;
  readonly link: (listener: Pick<RedisLinkOptions, 'onBack' | 'onProblem'>) => RedisLink;
  readonly onProblem?: ((problem: string | undefined) => void) | undefined;
}

/** For metrics. */
export interface RedisStats {
  readonly up: boolean;
  /** How many processes count together. */
  readonly replicas: number;
  /** Requests that this process had to decide about alone, since it began. */
  readonly decidedAlone: number;
  /** Settlements that Redis has not taken yet. */
  readonly unsettled: number;
  /** Settlements that it will never take, since it was away for too long. The ledger has them. */
  readonly lost: number;
}

const CLOCK = `${TAG}:clock`;
const GATEWAYS = `${TAG}:gateways`;
const RENEWED_AT_ONCE = 50;
const FLUSH_MS = 1_000;

/**
 * Counts in Redis together with other gateways: one script decides about a request, for all subjects whose limits it
 * falls under. What is admitted is counted in this process, too, so that there is something to go by when Redis is
 * gone: then this process gives out its share of each limit.
 */
export class RedisAdmission implements Admission {
  readonly ready: Promise<void>;
  readonly #options: RedisAdmissionOptions;
  readonly #link: RedisLink;
  readonly #settlements: Settlements;
  readonly #gateway = randomBytes(9).toString('base64url');
  readonly #live = new Set<Held>();
  readonly #untold = new Untold();
  readonly #ownShare: number;
  readonly #heartbeat: NodeJS.Timeout;
  #last = 0;
  #replicas = 1;
  #decidedAlone = 0;
  #epoch = '';

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
      if (!this.#link.up) return;
      this.#renew().catch(() => {});
      this.#untold.tell(this.#settlements);
      void this.#settlements.flush();
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
    const all = partiesOf(ask);
    const parties = all.filter(({ limits }) => isLimited(limits));
    const unasked = all.filter(({ limits }) => !isLimited(limits));
    if (parties.length === 0) return this.#remembering(unasked, this.#options.local.hold(ask));
    this.#last += 1;
    const id = `${this.#gateway}-${this.#last}`;
    const decided = this.#link.up
      ? this.#decide(id, ask, parties)
      : this.#decideAlone(id, ask, linesOf(parties));
    return decided instanceof Promise
      ? decided.then((reservation) => this.#remembering(unasked, reservation))
      : this.#remembering(unasked, decided);
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#untold.tell(this.#settlements);
    await Promise.race([this.#settlements.flush(), new Promise((done) => setTimeout(done, FLUSH_MS))]);
    await this.#link.close();
  }

  async #decide(id: string, ask: AdmissionAsk, parties: readonly Party[]): Promise<Reservation> {
    const { local, clock, times } = this.#options;
    const wanted = wantedOf(ask);
    const periods = clock.periods();
    let reply: Reply;
    try {
      const keys = [CLOCK, ...parties.flatMap(keysOf)];
      const known = parties.map(({ kind, id }) => local.spent(kind, id, periods));
      const terms = { id, wanted, periods, leaseMs: times.leaseMs };
      const args = [this.#stepMs, ...argsOf(terms, parties, known)];
      reply = replyOf(await this.#link.run(SCRIPTS.admit, keys, args));
    } catch {
      return this.#decideAloneAfterAll(id, ask, linesOf(parties));
    }
    this.#epoch = reply.epoch;
    const rate = rateOf(parties, reply);
    const refusedBy = parties[reply.refusedBy - 1];
    if (refusedBy !== undefined) {
      const obstacle = obstacleOf(reply, periods);
      throw refusal(obstacle, refusedBy.kind, refusedBy.limits, wanted, rate);
    }
    const lines = parties.map((party, at) => lineOf(party, wanted.tokens, reply.levels[at]!.end));
    return this.#held(local.hold(ask), id, wanted, lines, rate);
  }

  #decideAlone(id: string, ask: AdmissionAsk, lines: readonly SettledLine[]): Reservation {
    this.#decidedAlone += 1;
    const reservation = this.#options.local.admit(ask);
    return this.#held(reservation, id, wantedOf(ask), lines, reservation.rate);
  }

  /**
   * Redis may have admitted the request all the same, but too late: whatever it holds for one that is refused here is
   * given back.
   */
  #decideAloneAfterAll(id: string, ask: AdmissionAsk, lines: readonly SettledLine[]): Reservation {
    try {
      return this.#decideAlone(id, ask, lines);
    } catch (error) {
      this.#settlements.push(leaseOf(id, wantedOf(ask)), lines, { tokens: 0, nanoUsd: 0 }, this.#epoch);
      throw error;
    }
  }

  /** Of those that no limit holds for Redis hears later. */
  #remembering(unasked: readonly Party[], reservation: Reservation): Reservation {
    if (unasked.length === 0) return reservation;
    return {
      rate: reservation.rate,
      settle: (used) => {
        reservation.settle(used);
        this.#untold.add(unasked, countable(used.nanoUsd), this.#epoch);
      },
    };
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
        this.#settlements.push(held.lease, lines, counted, this.#epoch);
      },
    };
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#options.times;
    const held = [...this.#live];
    do {
      // What has been settled in the meantime must not come back to life.
      const some = held.splice(0, RENEWED_AT_ONCE).filter((one) => this.#live.has(one));
      const leases = some.flatMap(({ lease, lines }) =>
        lines.filter(({ leased }) => leased).map(({ keys }) => ({ lease, keys })),
      );
      const keys = [CLOCK, GATEWAYS, ...leases.flatMap((one) => one.keys)];
      const args = [this.#stepMs, `${leaseMs}`, this.#gateway, ...leases.map(({ lease }) => lease)];
      const renewed = renewedOf(await this.#link.run(SCRIPTS.renew, keys, args));
      this.#replicas = Math.max(1, renewed.replicas);
      this.#epoch = renewed.epoch;
    } while (held.length > 0);
    this.#options.local.share = Math.min(this.#ownShare, 1 / this.#replicas);
  }

  /** A jump of Redis's clock counts for no more than two heartbeats. */
  get #stepMs(): string {
    return `${2 * this.#options.times.heartbeatMs}`;
  }
}

interface Held {
  readonly lease: string;
  readonly lines: readonly SettledLine[];
}

function lineOf(party: Party, tokens: number, end: string): SettledLine {
  const { tokensPerMinute, concurrency, nanoUsdPerDay, nanoUsdPerMonth } = party.limits;
  return {
    keys: keysOf(party),
    leased: concurrency !== undefined || nanoUsdPerDay !== undefined || nanoUsdPerMonth !== undefined,
    taken: tokensPerMinute === undefined ? undefined : { tokens, end },
  };
}

/** Of a request that Redis has not been asked about, or not to the end. */
function linesOf(parties: readonly Party[]): readonly SettledLine[] {
  return parties.map((party) => lineOf(party, 0, '0'));
}

function leaseOf(id: string, { mostNanoUsd }: Wanted): string {
  return `${id}:${mostNanoUsd}`;
}
