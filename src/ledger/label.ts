import type { Caller } from '../core/caller.ts';
import type { AttemptRecord } from '../core/event.ts';

/**
 * What became of an attempt: the client got all of it; it broke off, or the client left; it failed and brought nothing; another attempt was
 * answered first; the gateway itself was killed.
 */
export type AttemptOutcome = 'delivered' | 'aborted' | 'failed' | 'lost' | 'interrupted';

/** Whose an attempt was, what it was for, and how it went: all that it has in common with many others. */
export interface AttemptLabel {
  readonly organizationId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly endpoint: string;
  readonly model: string;
  /** Empty: it never got to one. */
  readonly deployment: string;
  readonly kind: AttemptRecord['kind'];
  readonly outcome: AttemptOutcome;
  /** 1: the backend measured the tokens; 0: they were counted. */
  readonly measured: 0 | 1;
}

/** Callers stay the same objects from request to request, and so do their labels. */
const known = new WeakMap<Caller, AttemptLabel[]>();
/** How many are kept per caller: looking through more would take longer than making one anew. */
const MOST = 32;

export function labelOf(
  caller: Caller,
  endpoint: string,
  model: string,
  deployment: string,
  kind: AttemptLabel['kind'],
  outcome: AttemptOutcome,
  measured: 0 | 1,
): AttemptLabel {
  let labels = known.get(caller);
  if (labels === undefined) {
    labels = [];
    known.set(caller, labels);
  }
  for (const label of labels)
    if (
      label.model === model &&
      label.deployment === deployment &&
      label.outcome === outcome &&
      label.measured === measured &&
      label.kind === kind &&
      label.endpoint === endpoint
    )
      return label;
  const { organizationId, projectId, keyId } = caller;
  const label = { organizationId, projectId, keyId, endpoint, model, deployment, kind, outcome, measured };
  if (labels.length === MOST) labels.length = 0;
  labels.push(label);
  return label;
}
