import { openDatabase } from '../../src/store/database.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';

/** Opens a database and says how many migrations it has seen: `node open-process.ts LOCATION`, the location as JSON. */
const database = await openDatabase(JSON.parse(process.argv[2]!) as DatabaseLocation);
const seen = await database.kysely.selectFrom('schema_migration').select('number').execute();
await database.close();
process.stdout.write(`${seen.length}\n`);
