import { once } from 'node:events';
import { openDatabase } from '../../src/store/database.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';

/** Says that it is ready, waits for a line, opens a database and says how many migrations it has seen: `node open-process.ts LOCATION`. */
const location = JSON.parse(process.argv[2]!) as DatabaseLocation;
process.stdout.write('ready\n');
await once(process.stdin, 'data');
const database = await openDatabase(location);
const seen = await database.kysely.selectFrom('schema_migration').select('number').execute();
await database.close();
process.stdout.write(`${seen.length}\n`);
process.exit();
