import { parentPort, workerData } from 'node:worker_threads';
import { LateDatabase } from '../store/late-database.ts';
import { Drain } from './drain.ts';
import { insertRows } from './insert.ts';
import { segmentsIn, sizeBytesOf } from './segment.ts';
import type { FromWriter, ToWriter, WriterStart } from './writer-messages.ts';

/** Brings journals into the database, apart from the thread that serves. */

const PASS_MS = 200;
const MAX_PAUSE_MS = 5_000;

const { location, dir, owner } = workerData as WriterStart;
const database = new LateDatabase(location);
const drain = new Drain({ dir, owner, insert: (rows) => insertRows(database.get(), rows) });
const tell = (message: FromWriter) => parentPort!.postMessage(message);
let failures = 0;
let last: Promise<string | undefined> = Promise.resolve(undefined);
let timer: NodeJS.Timeout | undefined;

/** One after the other. Resolves to what went wrong. */
function pass(finished = false): Promise<string | undefined> {
  last = last.then(() => once(finished));
  return last;
}

async function once(finished: boolean): Promise<string | undefined> {
  let problem: string | undefined;
  try {
    await drain.run(finished);
    failures = 0;
  } catch (error) {
    failures += 1;
    problem = error instanceof Error ? error.message : String(error);
    // What the database does not have, the journal has to keep.
    drain.sync();
  }
  tell({ type: 'passed', problem, backlogBytes: sizeBytesOf(segmentsIn(dir)), broken: drain.broken });
  return problem;
}

function again(): void {
  timer = setTimeout(() => void pass().then(again), Math.min(PASS_MS * 2 ** failures, MAX_PAUSE_MS));
}

parentPort!.on('message', async (message: ToWriter) => {
  if (message.type === 'flush') {
    tell({ type: 'flushed', id: message.id, problem: await pass() });
    return;
  }
  clearTimeout(timer);
  await pass(true);
  clearTimeout(timer);
  await database.close().catch(() => {});
  tell({ type: 'finished' });
  parentPort!.close();
});
await database.start().catch(() => {});
again();
