import type { ConcurrencyBounds } from '../core/backend.ts';
import type { Emit } from '../core/event.ts';
import type { Requirement } from '../core/request.ts';
import type { ServerLoads } from './health/server-load.ts';
import type { Address } from './http/address.ts';

export interface UpstreamOptions {
  readonly name: string;
  /** API root, such as http://10.0.0.5:8000/v1 */
  readonly url: string;
  /** Where to connect to, if not where the URL's name points. */
  readonly address?: Address;
  readonly apiKey?: string;
  /** Fields of a request's body that it does not get to see. */
  readonly withhold?: readonly string[];
  /** Tells the server whose prompt it is (vLLM's `cache_salt`), so that what it remembers of it serves nobody else. */
  readonly cacheSalt?: boolean;
  /** What the server can do beyond text. Undefined: everything, and it refuses by itself what it cannot. */
  readonly capabilities?: readonly Requirement['capability'][];
  readonly timeouts?: Partial<UpstreamTimeouts>;
  /** Undefined: no limit. Requests beyond it wait for a connection. */
  readonly maxConnections?: number;
  /** Undefined: as many as come. */
  readonly concurrency?: ConcurrencyBounds;
  readonly probe?: {
    /** Below the API root. Default `/models`. */
    readonly path?: string;
    /** Default 10,000. */
    readonly intervalMs?: number;
    /** Default 2,000. */
    readonly timeoutMs?: number;
  };
  /** How often to read what the server says of its load, if it says anything. Undefined: never. */
  readonly loads?: {
    readonly intervalMs: number;
    /** @param upstream The name. */
    readonly onLoads: (upstream: string, loads: ServerLoads) => void;
  };
  readonly emit: Emit;
  /** Monotonic milliseconds, on the clock of `Observation`. */
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface UpstreamTimeouts {
  /** Default 2,000. */
  readonly connectMs: number;
  /**
   * From the request to the first byte of a stream; default 30,000. A reply without `stream` comes when it is complete,
   * so that only `totalMs` bounds it.
   */
  readonly firstByteMs: number;
  /** Silence in the middle of a reply; default 30,000. */
  readonly idleMs: number;
  /** The whole reply; default 600,000. */
  readonly totalMs: number;
}

export const DEFAULT_TIMEOUTS: UpstreamTimeouts = {
  connectMs: 2_000,
  firstByteMs: 30_000,
  idleMs: 30_000,
  totalMs: 600_000,
};
