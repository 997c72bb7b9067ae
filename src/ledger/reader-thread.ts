import { parentPort, workerData } from 'node:worker_threads';
import { LateDatabase } from '../store/late-database.ts';
import type { DatabaseLocation } from '../store/location.ts';
import type { FromReader, ToReader } from './reader-messages.ts';
import { spentTotals } from './spent.ts';
import { usage } from './usage.ts';

/** Reads the ledger apart from the thread that serves: sums over millions of rows take seconds. */

/** Nobody who is served waits for it. */
const SUM_TIMEOUT_MS = 60_000;

const database = new LateDatabase(workerData as DatabaseLocation, SUM_TIMEOUT_MS);
const started = database.start().catch(() => {});

parentPort!.on('message', async ({ id, question, asked }: ToReader) => {
  const tell = (message: FromReader) => parentPort!.postMessage(message);
  try {
    await started;
    const open = database.get();
    const answer =
      question === 'usage'
        ? await usage(open, asked as Parameters<typeof usage>[1])
        : await spentTotals(open, asked as Parameters<typeof spentTotals>[1]);
    tell({ id, answer });
  } catch (error) {
    tell({ id, problem: error instanceof Error ? error.message : String(error) });
  }
});
