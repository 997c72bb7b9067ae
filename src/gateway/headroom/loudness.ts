/**
 * Without a line, a tenant is heavy with this many inside, if there are others that have, and have sent of late, this many
 * times less: by so much that it is no chance, …
 */
export const MUCH = 3;
export const TIMES_THE_OTHERS = 3;
const STANDARD_DEVIATIONS = 2;
/**
 * … and if it sends at least this part of what all send on average: beside a loud one nobody is loud for not being
 * the quietest.
 */
const LEAST_OF_AVERAGE = 0.5;

/** What a tenant, or several of one organization, have at a backend. */
export interface Presence {
  readonly weight: number;
  /** How many are inside. */
  readonly inFlight: number;
  /** How many have come, and once more those that found no place at once; older ones count less. */
  readonly arrivals: number;
}

/** There are others that have far less inside and send far less, for their weight. */
export function isLoudAmong(
  { inFlight, arrivals, weight }: Presence,
  all: ReadonlyMap<string, Presence>,
  weightOfAll: number,
): boolean {
  if (inFlight < MUCH) return false;
  let sent = 0;
  const less = { arrivals: 0, weight: 0 };
  for (const other of all.values()) {
    sent += other.arrivals;
    const farLess = other.weight / weight / TIMES_THE_OTHERS;
    if (other.inFlight >= inFlight * farLess || other.arrivals >= arrivals * farLess) continue;
    less.arrivals += other.arrivals;
    less.weight += other.weight;
  }
  if (arrivals / weight < (LEAST_OF_AVERAGE * sent) / weightOfAll) return false;
  // What those would have sent if they sent as much.
  const expected = (arrivals * less.weight) / weight;
  return expected - less.arrivals > STANDARD_DEVIATIONS * Math.sqrt(expected);
}
