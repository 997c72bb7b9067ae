import type { Candidate } from './candidate.ts';
import type { LifecycleEvent } from './lifecycle.ts';
import type { Policy, PolicyInput, Ranked } from './policy.ts';
import { hashText } from './prompt-hash.ts';
import { rankBy } from './ranking.ts';

const MAX_SESSIONS = 100_000;

/**
 * A session stays where it is. A new one goes where rendezvous hashing says (Thaler and Ravishankar), which every gateway
 * answers alike; one whose deployment is lost goes to the next in that order, and stays there when the lost one
 * comes back: that is where its prompts are remembered now. Requests without a session go where the load is least.
 */
export function sessionAffinity(): Policy {
  /** Least recently used first. */
  const homes = new Map<string, string>();
  return {
    name: 'session-affinity',
    rank<C extends Candidate>({ candidates, request, random }: PolicyInput<C>): readonly Ranked<C>[] {
      const { sessionKey } = request;
      if (sessionKey === undefined)
        return rankBy(candidates, ({ inFlight }) => ({
          score: inFlight + random() / 2,
          parts: { inFlight },
        }));
      const home = homes.get(sessionKey);
      return rankBy(candidates, ({ id, weight = 1 }) => {
        const isHome = id === home;
        return { score: isHome ? -1 : distance(sessionKey, id, weight), parts: { home: isHome ? 1 : 0 } };
      });
    },
    observe({ type, dispatch }: LifecycleEvent) {
      const { sessionKey } = dispatch.request;
      // A deployment that began to answer has read the session: that is where it lives.
      if (sessionKey === undefined || (type !== 'first-token' && type !== 'finished')) return;
      homes.delete(sessionKey);
      homes.set(sessionKey, dispatch.deployment);
      if (homes.size <= MAX_SESSIONS) return;
      const [oldest] = homes.keys();
      homes.delete(oldest!);
    },
  };
}

/** Of two deployments the nearer one wins in proportion to their weights. */
function distance(session: string, id: string, weight: number): number {
  const uniform = (hashText(`${session}\0${id}`) + 0.5) / 2 ** 32;
  return weight > 0 ? -Math.log(uniform) / weight : Number.MAX_VALUE;
}
