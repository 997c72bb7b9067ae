import type { Readiness } from './api/operations.ts';
import type { PublicModel } from './core/deployment.ts';
import type { GatewayEvent } from './core/event.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { Gateway } from './gateway/gateway.ts';
import type { Tenancy } from './tenancy.ts';

/** Whether the gateway is to get requests, and what does not work as configured. */
export class GatewayStatus {
  readonly #gateway: Gateway;
  readonly #fleet: Fleet;
  readonly #tenancy: Tenancy;
  #draining = false;
  #configProblem: string | undefined;

  constructor(gateway: Gateway, fleet: Fleet, tenancy: Tenancy) {
    this.#gateway = gateway;
    this.#fleet = fleet;
    this.#tenancy = tenancy;
  }

  /** To be told everything. */
  readonly observe = (event: GatewayEvent): void => {
    if (event.type === 'config-reloaded') this.#configProblem = event.ok ? undefined : event.detail;
  };

  /** It is about to end. */
  get draining(): boolean {
    return this.#draining;
  }

  drainingBegins(): void {
    this.#draining = true;
  }

  readiness(): Readiness {
    return {
      draining: this.#draining,
      ready: !this.#tenancy.admitsNobody() && this.#gateway.models().some(takesRequests),
      backends: Object.fromEntries(this.#fleet.backends.map((b) => [b.name, b.health()])),
      ...(this.#configProblem === undefined ? {} : { configProblem: this.#configProblem }),
      accountProblems: this.#tenancy.problems(),
    };
  }
}

/** A model that is not in memory takes them, too: they wait for it. */
function takesRequests({ deployments }: PublicModel): boolean {
  return deployments.some(({ backend }) => ['ready', 'unloaded'].includes(backend.health().state));
}
