/**
 * Settles requests as fast as it can and tells of each on its output once the journal has promised to keep it:
 *
 *   node test/ledger/spend-process.ts DIR DATABASE NAME
 *
 * `open ID`: it has run for a while. `settled ID TOKENS`: it has ended. Until it is killed.
 */
import { writeSync } from 'node:fs';
import { Ledger } from '../../src/ledger/ledger.ts';
import { databaseLocation } from '../../src/store/location.ts';
import { admitted, callerOf, settled } from './events.ts';

const [dir = '', database = '', name = ''] = process.argv.slice(2);
const ledger = new Ledger({
  location: databaseLocation({ database, dataDir: dir }),
  dir: `${dir}/ledger`,
  maxBytes: 1e9,
});
const STEP_MS = 10;
/** A request that has run for so long is in the journal. */
const NOTED_MS = 400;
let count = 0;

setInterval(() => {
  const told: string[] = [];
  for (let i = 0; i < 20; i++) {
    const id = `${name}-${++count}`;
    const caller = callerOf(count % 7);
    ledger.observe(admitted(id, caller, () => 30));
    // One of ten goes on until the end.
    if (count % 10 === 0) {
      setTimeout(() => writeSync(1, `open ${id}\n`), NOTED_MS);
      continue;
    }
    const tokens = count % 50;
    ledger.observe(settled(id, caller, tokens));
    told.push(`settled ${id} ${tokens}`);
  }
  // The journal has written by the end of this turn.
  setImmediate(() => writeSync(1, `${told.join('\n')}\n`));
}, STEP_MS);
