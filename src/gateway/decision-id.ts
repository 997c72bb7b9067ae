import { randomBytes } from 'node:crypto';

/** One per process, so that ids of several gateways do not meet. */
const PROCESS = randomBytes(5).toString('hex');
let count = 0;

export function newDecisionId(): string {
  count += 1;
  return `dec_${PROCESS}${count.toString(36)}`;
}
