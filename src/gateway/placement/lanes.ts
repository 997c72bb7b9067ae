import type { Deployment } from '../../core/deployment.ts';
import { ejectIfOutlier } from '../backend/outlier.ts';
import { Lane } from './lane.ts';
import type { Slot } from './slot.ts';

/** What is known of all backends, and what several of them are together. */
export class Lanes {
  readonly #byBackend = new WeakMap<Deployment['backend'], Lane>();
  readonly #now: () => number;
  readonly #random: () => number;

  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  of(backend: Deployment['backend']): Lane {
    let lane = this.#byBackend.get(backend);
    if (lane === undefined) {
      lane = new Lane(backend, this.#now, this.#random);
      this.#byBackend.set(backend, lane);
    }
    return lane;
  }

  anyWorks(deployments: readonly Deployment[]): boolean {
    return deployments.some(({ backend }) => this.of(backend).works);
  }

  /** Without those that asked to be left alone. */
  notCooling<D extends Deployment>(deployments: readonly D[]): readonly D[] {
    return deployments.filter(({ backend }) => this.of(backend).coolDown.leftMs === 0);
  }

  /** Requests in flight against what the ready deployments take; 0 where nothing limits them. */
  saturation(deployments: readonly Deployment[]): number {
    let inFlight = 0;
    let limit = 0;
    for (const { backend } of deployments) {
      const lane = this.of(backend);
      if (lane.limit === undefined || !lane.ready) continue;
      inFlight += lane.limit.inFlight;
      limit += lane.limit.limit;
    }
    return limit === 0 ? 0 : inFlight / limit;
  }

  /** The soonest time at which one of them may be asked again, as far as any has said. */
  retryAfterMs(deployments: readonly Deployment[]): number | undefined {
    const known = deployments.flatMap(({ backend }) => this.of(backend).retryAfterMs ?? []);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  /** Leaves a backend alone that has become far slower than the others of its fleet. */
  judge(slot: Slot, fleet: readonly Deployment[]): void {
    if (slot.wasCrowded || !slot.lane.slowness.lookDue()) return;
    const lanes = new Set(fleet.map(({ backend }) => this.of(backend)));
    ejectIfOutlier(slot.lane, [...lanes]);
  }
}
