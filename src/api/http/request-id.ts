import { randomBytes } from 'node:crypto';

/** One per process, so that ids of several gateways do not meet. */
const PROCESS = randomBytes(10).toString('hex');
const COUNT_DIGITS = 12;
let count = 0;

/** The client's own request id if it is a harmless one, else a new one. */
export function requestId(given: string | undefined): string {
  if (given !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(given)) return given;
  count += 1;
  return `req_${PROCESS}${count.toString(16).padStart(COUNT_DIGITS, '0')}`;
}
