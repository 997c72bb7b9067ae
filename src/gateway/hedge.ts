/** An attempt that is running at a deployment. */
export interface Attempt<T> {
  readonly answered: Promise<T>;
  /** Another one was answered first. */
  lose(): void;
}

/**
 * Asks a second deployment when the first has not answered in time, and takes whichever answers first (Dean and
 * Barroso, The Tail at Scale). A failure counts as an answer only when nobody else is left to give one.
 *
 * A stream has answered with its first token. A whole reply answers when all the work is done, so its second attempt costs a
 * whole reply's work and comes late; it is worth that where the first one hangs, which otherwise would not show
 * until the upstream's probes have been silent for long.
 *
 * @param second Starts the other attempt, if there may be one.
 * @throws What the first attempt failed with, if both fail.
 */
export async function hedge<T>(
  first: Attempt<T>,
  delayMs: number,
  second: () => Attempt<T> | undefined,
): Promise<T> {
  const late = await isLate(first.answered, delayMs);
  const other = late ? second() : undefined;
  if (other === undefined) return await first.answered;

  const firstOf = (attempt: Attempt<T>) => attempt.answered.then((reply) => ({ attempt, reply }));
  try {
    const { attempt, reply } = await Promise.any([firstOf(first), firstOf(other)]);
    (attempt === first ? other : first).lose();
    return reply;
  } catch (failures) {
    throw (failures as AggregateError).errors[0];
  }
}

function isLate(answered: Promise<unknown>, delayMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), delayMs);
    const settled = () => {
      clearTimeout(timer);
      resolve(false);
    };
    answered.then(settled, settled);
  });
}
