import { randomBytes } from 'node:crypto';

/** One per process, so that ids of several gateways do not meet. */
const PROCESS = randomBytes(5).toString('hex');
const RADIX = 36;
/** Putting digits together is faster than writing a number in this radix. */
const LAST_TWO = Array.from({ length: RADIX ** 2 }, (_, i) => i.toString(RADIX).padStart(2, '0'));
let beginning = '';
let count = 0;

export function newDecisionId(): string {
  const last = count % LAST_TWO.length;
  if (last === 0) beginning = `dec_${PROCESS}${(count / LAST_TWO.length).toString(RADIX)}`;
  count += 1;
  return beginning + LAST_TWO[last]!;
}
