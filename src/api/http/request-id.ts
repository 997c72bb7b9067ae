import { randomBytes } from 'node:crypto';

/** One per process, so that ids of several gateways do not meet. */
const PROCESS = randomBytes(10).toString('hex');
const COUNT_DIGITS = 12;
/** Putting digits together is faster than writing a number in this radix. */
const LAST_TWO = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
let beginning = '';
let count = 0;

/** The client's own request id if it is a harmless one, else a new one. */
export function requestId(given: string | undefined): string {
  if (given !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(given)) return given;
  count += 1;
  const last = count % LAST_TWO.length;
  if (last === 0 || beginning === '') beginning = beginningOf(Math.floor(count / LAST_TWO.length));
  return beginning + LAST_TWO[last]!;
}

function beginningOf(high: number): string {
  return `req_${PROCESS}${high.toString(16).padStart(COUNT_DIGITS - 2, '0')}`;
}
