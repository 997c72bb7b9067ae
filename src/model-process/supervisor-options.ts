import type { Emit } from '../core/event.ts';
import type { Clock } from './clock.ts';
import type { SpawnModelProcess } from './model-process.ts';
import type { Command, Report, SupervisorProtocol } from './protocol.ts';

export interface SupervisorTimes {
  readonly pingMs: number;
  /** A process that says nothing for this long is killed. Counted in pings, so that it is not blamed for a machine that was suspended. */
  readonly silenceMs: number;
  readonly loadTimeoutMs: number;
  readonly firstRestartMs: number;
  readonly longestRestartMs: number;
  /** Running for this long without a crash clears its past. */
  readonly healthyMs: number;
  /** Between being asked to end and being killed. */
  readonly shutdownMs: number;
}

export const DEFAULT_TIMES: SupervisorTimes = {
  pingMs: 2_000,
  silenceMs: 30_000,
  loadTimeoutMs: 600_000,
  firstRestartMs: 500,
  longestRestartMs: 30_000,
  healthyMs: 60_000,
  shutdownMs: 2_000,
};

export interface SupervisorOptions<P extends SupervisorProtocol> {
  readonly name: string;
  readonly load: P['load'];
  readonly spawn: SpawnModelProcess<P['to'] | Command<P['load']>, P['from'] | Report<P['info']>>;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly times: SupervisorTimes;
  /** A process that takes more is killed. The limit may change as more is learnt about the model. */
  readonly memoryLimitBytes?: (() => number) | undefined;
  /** Messages other than `ready`, `failed` and `pong`. */
  readonly onMessage: (message: P['from']) => void;
  /** The process is gone, and everything it was working on. The state tells what comes next. */
  readonly onLost: () => void;
}
