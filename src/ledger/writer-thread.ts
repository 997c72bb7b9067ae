import { parentPort, workerData } from 'node:worker_threads';
import { LateDatabase } from '../store/late-database.ts';
import { Drain } from './drain.ts';
import { insertRows } from './insert.ts';
import { refusedPath } from './refused.ts';
import { setThreadNicer } from './thread-nice.ts';
import type { FromWriter, ToWriter, WriterStart } from './writer-messages.ts';

/** Brings journals into the database, apart from the thread that serves. */

/** A batch is large, and nobody waits for it. */
const BATCH_TIMEOUT_MS = 30_000;
/** Rows are safe in a file until then; many at a time cost less than few. */
const PASS_MS = 400;
const MAX_PAUSE_MS = 5_000;
/** How often journals without a process are looked for. */
const LOOK_MS = 5_000;
/** What is only in the journal, such as requests that run, survives a power failure after so long. */
const SYNC_MS = 500;
/**
 * Where it shares a core with the thread that serves, an uninterrupted pass would be felt by whoever waits for a
 * first token. At this niceness it may have a third of what that thread has, and needs a fifth; any nicer, the two
 * interrupt each other too often.
 */
const NICE = 5;
/** Some seconds of full load: with more than this it is falling behind. */
const HURRY_BYTES = 4 * 1024 * 1024;

const { location, dir, journal, read } = workerData as WriterStart;
const database = new LateDatabase(location, BATCH_TIMEOUT_MS);
const drain = new Drain({ dir, own: journal, read, insert: (rows) => insertRows(database.get(), rows) });
/** As far as that goes: a database that is away is tried again meanwhile, and says so to who uses it. */
const started = database.start().catch(() => {});
const tell = (message: FromWriter) => parentPort!.postMessage(message);
let failures = 0;
let backlogBytes = 0;
let nicerBy = 0;
let lookAtMs = 0;
let syncAtMs = 0;
/** As they were at the last look, and the last time that something was to be made safe. */
let lookProblem: string | undefined;
let syncProblem: string | undefined;
let last: Promise<string | undefined> = Promise.resolve(undefined);
let timer: NodeJS.Timeout | undefined;

/** One after the other. Resolves to what went wrong. */
function pass(finished = false): Promise<string | undefined> {
  last = last.then(() => once(finished));
  return last;
}

async function once(finished: boolean): Promise<string | undefined> {
  await started;
  const own = await failureOf(() => drain.runOwn(finished));
  // Only this is done less often where it fails: what is wrong with others' journals must not hold up our own.
  failures = own === undefined ? 0 : failures + 1;
  const now = performance.now();
  if (now >= lookAtMs) {
    // Also where the database is away: what they hold counts as ours from now on.
    lookProblem = await failureOf(() => drain.claimDead());
    lookAtMs = now + LOOK_MS;
  }
  const dead = own === undefined ? await failureOf(() => drain.runDead()) : undefined;
  if (now >= syncAtMs) {
    syncProblem = await failureOf(() => drain.sync());
    syncAtMs = now + SYNC_MS;
  }
  const counted = await failureOf(() => {
    backlogBytes = drain.backlogBytes();
  });
  const by = backlogBytes > HURRY_BYTES ? 0 : NICE;
  if (by !== nicerBy) setThreadNicer(by);
  nicerBy = by;
  const problem = own ?? dead ?? lookProblem ?? syncProblem ?? counted;
  const { broken, refused } = drain;
  tell({ type: 'passed', problem, backlogBytes, losses: { broken, refused, refusedPath: refusedPath(dir) } });
  return problem;
}

async function failureOf(work: () => Promise<void> | void): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function again(): void {
  timer = setTimeout(() => void pass().then(again), Math.min(PASS_MS * 2 ** failures, MAX_PAUSE_MS));
}

parentPort!.on('message', async (message: ToWriter) => {
  if (message.type === 'flush') {
    lookAtMs = 0;
    tell({ type: 'flushed', id: message.id, problem: await pass() });
    return;
  }
  const isLast = message.type === 'finish';
  clearTimeout(timer);
  const problem = await (isLast ? pass(true) : last);
  clearTimeout(timer);
  if (!isLast) await failureOf(() => drain.sync());
  drain.close();
  await database.close().catch(() => {});
  tell(isLast ? { type: 'finished', empty: problem === undefined } : { type: 'rested', read: drain.read });
  parentPort!.close();
});
await started;
again();
