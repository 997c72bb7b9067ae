import type { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import type { PublicModel } from '../core/deployment.ts';
import type { GatewayEvent } from '../core/event.ts';

/** An engine that starts anew remembers no prompts: policies must not expect it to. */
export function forgetRestarted(
  knowledge: RoutingKnowledge,
  models: () => readonly PublicModel[],
): (event: GatewayEvent) => void {
  return (event) => {
    if (event.type !== 'engine-state-changed' || event.state !== 'starting') return;
    for (const { deployments } of models())
      for (const { id, backend } of deployments) if (backend.name === event.engine) knowledge.restarted(id);
  };
}
