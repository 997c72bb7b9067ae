/** What a policy may know of a deployment. */
export interface Candidate {
  readonly id: string;
  readonly ready: boolean;
  readonly inFlight: number;
}

export interface PolicyInput<C extends Candidate> {
  readonly candidates: readonly C[];
  readonly nowMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Orders candidates, best first. Those not returned are not tried. Keeps its own state per public model; does no I/O. */
export interface Policy {
  readonly name: string;
  rank<C extends Candidate>(input: PolicyInput<C>): readonly C[];
}
