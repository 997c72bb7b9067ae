import type { Candidate } from '../../../routers/candidate.ts';
import type { Ranked } from '../../../routers/policy.ts';
import type { Choice, Decision, DecisionFeatures } from '../../core/decision.ts';

/** Replaced, not pushed to: most have one choice or none, and arrays that grow have room for many. */
const NONE: readonly never[] = [];

/** Records how one request comes to its deployments. */
export class DecisionTrace implements Decision {
  readonly id: string;
  readonly features: DecisionFeatures;
  choices: Decision['choices'] = NONE;
  refused: Decision['refused'] = NONE;
  trials: Decision['trials'] = NONE;

  constructor(id: string, features: DecisionFeatures) {
    this.id = id;
    this.features = features;
  }

  chose(choice: Choice & { readonly ranked: readonly Ranked<Candidate>[] }): void {
    this.choices = this.choices.length === 0 ? [choice] : [...this.choices, choice];
  }
}
