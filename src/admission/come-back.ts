/** OpenAI's clients do as they are told up to this, and come back much sooner beyond it. */
export const LATEST_MS = 60_000;

/**
 * When somebody who is refused is told to come back: once there is room again, and behind all that were told a time before, so that they
 * come back no faster than there is room. A time that nobody keeps is lost to nobody, as whoever comes meanwhile finds the room. After
 * the last time that clients would wait for, the first is told again.
 *
 * @param last What the one before was told. All times are of one clock.
 * @param eachMs How much later there is room for one more like it.
 */
export function comeBackAt(last: number, waitMs: number, eachMs: number, nowMs: number): number {
  const first = nowMs + waitMs;
  const next = Math.max(first, last + eachMs);
  return next - nowMs > LATEST_MS ? first : next;
}
