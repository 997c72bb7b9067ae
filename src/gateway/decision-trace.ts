import type { Candidate } from '../../routers/candidate.ts';
import type { Ranked } from '../../routers/policy.ts';
import type { Choice, Decision, DecisionFeatures } from '../core/decision.ts';

/** Takes down how one request comes to its deployments. */
export class DecisionTrace implements Decision {
  readonly id: string;
  readonly features: DecisionFeatures;
  readonly choices: Choice[] = [];
  refused: Decision['refused'] = [];
  trials: Decision['trials'] = [];

  constructor(id: string, features: DecisionFeatures) {
    this.id = id;
    this.features = features;
  }

  chose(choice: Choice & { readonly ranked: readonly Ranked<Candidate>[] }): void {
    this.choices.push(choice);
  }
}
