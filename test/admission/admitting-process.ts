import { createAdmission } from '../../src/admission/create-admission.ts';
import type { Caller } from '../../src/core/caller.ts';
import { AppError } from '../../src/core/error.ts';
import { askOf } from './callers.ts';

/** What a process is told. */
export interface Order {
  readonly asks: number;
  readonly limits: Partial<Caller['limits']>;
}

/** A gateway process reduced to its admission: asks as often as it is told, all at once, and keeps what it gets. */
const [redisUrl = '', times = '{}'] = process.argv.slice(2);
const admission = createAdmission({ redisUrl, times: JSON.parse(times) });
await admission.ready;
process.on('message', async ({ asks, limits }: Order) => {
  let admitted = 0;
  let refused = 0;
  await Promise.all(
    Array.from({ length: asks }, async () => {
      try {
        await admission.admit(askOf(limits));
        admitted += 1;
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        refused += 1;
      }
    }),
  );
  process.send?.({ admitted, refused, problem: admission.problem() });
});
process.send?.('ready');
