import { AppError } from '../core/error.ts';
import type { UpstreamBackend } from './upstream.ts';

/** Stands for an upstream whose name has had no address yet. */
export function unresolvedUpstream(name: string, detail: string): UpstreamBackend {
  const fail = async () => {
    throw new AppError('upstream_unreachable', { cause: new Error(detail), nothingSent: true });
  };
  return {
    name,
    kind: 'upstream',
    served: undefined,
    missing: [],
    drained: false,
    expect() {},
    run: fail,
    relay: fail,
    lacks: () => undefined,
    health: () => ({ state: 'down', detail, inFlight: 0, queued: 0, retryAfterMs: 1_000 }),
    async close() {},
  };
}
