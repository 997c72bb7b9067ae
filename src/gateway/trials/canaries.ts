import { hashText } from '../../../routers/prompt-hash.ts';
import type { Decision } from '../../core/decision.ts';
import type { Canary, Deployment } from '../../core/deployment.ts';
import type { CanaryRolledBack, Emit } from '../../core/event.ts';
import type { CanaryReport } from '../../core/report.ts';
import { CanaryWatch, type Regression, type Side } from './canary-watch.ts';

interface Watched {
  readonly canary: Canary;
  watch: CanaryWatch;
  /** It gets no requests any more, until an operator says otherwise. */
  rolledBack: Regression | undefined;
}

const NONE: Decision['trials'] = [];

/** A place at a deployment, as far as trials look at it. */
interface Place {
  readonly deployment: Deployment;
  readonly ready: boolean;
  /** It has room. */
  readonly free: boolean;
  readonly lane: { readonly works: boolean };
}

/**
 * The deployments of one model that are under trial. A share of the requests goes to each, the rest stays away from them, and
 * one that does worse than the deployments that are not on trial gets nothing more.
 *
 * All that goes to canaries comes from what a request may use, so that trials change nothing of privacy and region.
 */
export class Canaries {
  readonly #model: string;
  readonly #emit: Emit;
  /** By the canary's id. Those that are gone for a while are remembered. */
  readonly #known = new Map<string, Watched>();
  /** What other processes of this gateway have found, for when this one learns of the trial. */
  readonly #foundElsewhere = new Map<string, Pick<CanaryRolledBack, 'canary' | 'reason' | 'detail'>>();
  #deployments: readonly Deployment[] = [];
  #present: readonly Watched[] = [];

  constructor(model: string, emit: Emit) {
    this.#model = model;
    this.#emit = emit;
  }

  /** A canary with other settings begins anew. */
  follow(deployments: readonly Deployment[]): void {
    if (deployments === this.#deployments) return;
    this.#deployments = deployments;
    const present = new Map(deployments.flatMap(({ canary }) => (canary ? [[canary.id, canary]] : [])));
    this.#present = [...present.values()].map((canary) => {
      const known = this.#known.get(canary.id);
      if (known && isSame(known.canary, canary)) return known;
      const found = this.#foundElsewhere.get(canary.id);
      const rolledBack = found && isSame(found.canary, canary) ? found : undefined;
      const fresh = { canary, watch: new CanaryWatch(canary), rolledBack };
      this.#known.set(canary.id, fresh);
      return fresh;
    });
  }

  /**
   * Where a request falls, 0 to 1: the same for all of a session, so that it stays on its side. One that falls to a canary
   * which is down counts as failed there, although it is served elsewhere.
   */
  draw(sessionKey: string | undefined, random: () => number): number {
    if (this.#present.length === 0) return 1;
    const at = sessionKey === undefined ? random() : hashText(`${this.#model}\n${sessionKey}`) / 2 ** 32;
    const mine = this.#at(at);
    if (mine === undefined) return at;
    const own = this.#deployments.filter(({ canary }) => canary?.id === mine.canary.id);
    if (own.every(({ backend }) => backend.health().state === 'down')) {
      mine.watch.outcome('canary', true);
      this.#judge(mine);
    }
    return at;
  }

  /** What part each trial had in a request, for its decision. */
  parts(drawn: number): Decision['trials'] {
    if (this.#present.length === 0) return NONE;
    const mine = this.#at(drawn);
    return this.#present.map((watched) => ({
      deployment: watched.canary.id,
      part: watched === mine ? 'drawn' : watched.rolledBack === undefined ? 'not-drawn' : 'rolled-back',
    }));
  }

  /**
   * Of the places that a request may have, those on its side. A canary that cannot take it leaves it to the others; a request
   * of the others goes to a canary when none of theirs is up: that they seem slow beside it is no reason.
   *
   * @param lastResort False: not even then.
   */
  onSide<P extends Place>(places: readonly P[], drawn: number, lastResort: boolean): readonly P[] {
    if (this.#present.length === 0) return places;
    const id = this.#at(drawn)?.canary.id;
    const own = id === undefined ? [] : places.filter(({ deployment }) => deployment.canary?.id === id);
    if (own.some(({ ready, free }) => ready && free)) return own;
    const others = places.filter(({ deployment }) => deployment.canary === undefined);
    return others.some(({ lane }) => lane.works) || !lastResort ? others : places;
  }

  /** A request has ended at a deployment in a way that says something of it. */
  outcome({ canary }: Deployment, fault: boolean): void {
    this.#tell(canary, (watch, side) => watch.outcome(side, fault));
  }

  /** A reply has begun at a deployment. */
  began({ canary }: Deployment, stream: boolean, promptBytes: number, ms: number, nowMs: number): void {
    this.#tell(canary, (watch, side) => watch.began(side, stream, promptBytes, ms, nowMs));
  }

  /** Another process of this gateway has rolled a canary back, and told of it. */
  rolledBackElsewhere(found: Pick<CanaryRolledBack, 'canary' | 'reason' | 'detail'>): void {
    this.#foundElsewhere.set(found.canary.id, found);
    const known = this.#known.get(found.canary.id);
    if (known && isSame(known.canary, found.canary)) known.rolledBack ??= found;
  }

  /** @returns Whether there is such a canary. What was seen of it before is forgotten. */
  resume(id: string): boolean {
    this.#foundElsewhere.delete(id);
    const watched = this.#known.get(id);
    if (watched === undefined) return false;
    watched.watch = new CanaryWatch(watched.canary);
    if (watched.rolledBack === undefined) return true;
    watched.rolledBack = undefined;
    this.#emit({ type: 'canary-resumed', model: this.#model, deployment: id });
    return true;
  }

  report(): CanaryReport[] {
    return this.#present.map(({ canary, watch, rolledBack }) => ({
      model: this.#model,
      deployment: canary.id,
      state: rolledBack === undefined ? 'on-trial' : 'rolled-back',
      detail: rolledBack?.detail,
      share: rolledBack === undefined ? canary.share : 0,
      configuredShare: canary.share,
      ...watch.figures(),
    }));
  }

  #at(drawn: number): Watched | undefined {
    let upTo = 0;
    for (const watched of this.#present) {
      upTo += watched.canary.share;
      if (drawn < upTo) return watched.rolledBack === undefined ? watched : undefined;
    }
    return undefined;
  }

  #tell(canary: Canary | undefined, observe: (watch: CanaryWatch, side: Side) => void): void {
    for (const watched of this.#present) {
      const own = canary?.id === watched.canary.id;
      // Canaries are measured by those that are not on trial, and not by each other.
      if (!own && canary !== undefined) continue;
      observe(watched.watch, own ? 'canary' : 'others');
      if (own) this.#judge(watched);
    }
  }

  #judge(watched: Watched): void {
    if (watched.rolledBack !== undefined) return;
    const found = watched.watch.verdict();
    if (found === undefined) return;
    watched.rolledBack = found;
    const { canary } = watched;
    this.#emit({ type: 'canary-rolled-back', model: this.#model, deployment: canary.id, canary, ...found });
  }
}

/** Tried in the same way. */
function isSame(a: Canary, b: Canary): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
