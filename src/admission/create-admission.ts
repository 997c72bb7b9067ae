import type { Admission } from '../gateway/request/admission.ts';
import { LocalAdmission } from './local-admission.ts';
import { RedisAdmission, type RedisStats } from './redis-admission.ts';
import { DEFAULT_TIMES, RedisLink, type RedisTimes } from './redis-link.ts';
import { SteadyClock } from './steady-clock.ts';
import type { SpentTotals } from './subjects.ts';

export interface AdmissionOptions {
  /** Where several gateways count together, `redis://` or `rediss://`; undefined: in this process. */
  readonly redisUrl?: string | undefined;
  /**
   * The share of every limit, 0 to 1, that this process may give out where it counts by itself: 1 divided by the
   * number of processes; default 1. Where Redis fails, it is at most 1 divided by the number of gateways that were
   * last seen there.
   */
  readonly share?: number | undefined;
  readonly clock?: SteadyClock | undefined;
  /** Limits are no longer counted together, and why; undefined: they are again. */
  readonly onProblem?: ((problem: string | undefined) => void) | undefined;
  readonly times?: Partial<RedisTimes> | undefined;
}

/** For metrics. */
export interface AdmissionStats {
  /** Keys, projects, organizations and models that this process remembers. */
  readonly subjects: number;
  /** Requests that are admitted and not settled. */
  readonly reserved: number;
  /** Absent where all is counted in this process. */
  readonly redis?: RedisStats;
}

export interface RunningAdmission extends Admission {
  /** Resolves once Redis has answered, or has failed to. Need not be awaited. */
  readonly ready: Promise<void>;
  /** Why limits are not counted together as configured; undefined: they are. */
  problem(): string | undefined;
  stats(): AdmissionStats;
  /** Unix milliseconds as budgets see them, whatever the system's clock does: what to ask the ledger with. */
  nowMs(): number;
  /**
   * Takes over what the ledger has, from whichever process: before the first request, and then every few seconds
   * where several spend from one budget. Amounts only grow within a period, so totals that are a moment old, or only
   * of some subjects, do no harm.
   *
   * @param atMs The time that the ledger was asked about.
   */
  refreshSpent(totals: SpentTotals, atMs: number): void;
  /** What this process has in use of a subject; undefined: it does not know the subject. */
  inUse: LocalAdmission['inUse'];
  /** Tells Redis what is settled, as far as it takes it at once. */
  close(): Promise<void>;
}

/** Limits of keys, projects, organizations and models: in this process, or in Redis together with others. */
export function createAdmission(options: AdmissionOptions = {}): RunningAdmission {
  const { redisUrl, share = 1, clock = new SteadyClock(), onProblem } = options;
  const times = { ...DEFAULT_TIMES, ...options.times };
  const local = new LocalAdmission({ share, clock });
  const shared =
    redisUrl === undefined
      ? undefined
      : new RedisAdmission({
          local,
          clock,
          times,
          link: (listener) => new RedisLink({ url: redisUrl, times, ...listener }),
          onProblem,
        });
  return {
    ready: shared?.ready ?? Promise.resolve(),
    admit: (ask) => (shared ?? local).admit(ask),
    problem: () => shared?.problem,
    stats: () => ({
      subjects: local.subjectCount,
      reserved: local.reserved,
      ...(shared === undefined ? {} : { redis: shared.stats() }),
    }),
    nowMs: () => clock.wallMs(),
    refreshSpent: (totals, atMs) => local.refreshSpent(totals, atMs),
    inUse: (kind, id) => local.inUse(kind, id),
    close: async () => shared?.close(),
  };
}
