import { createHash, randomBytes } from 'node:crypto';
import { ApiKeys } from '../../src/store/api-keys.ts';
import { openDatabase } from '../../src/store/database.ts';
import { newId } from '../../src/store/id.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { projectFor } from '../../src/store/named.ts';

/** Makes keys until it is killed, and says the id of each once it is stored: `node write-process.ts LOCATION`. */
const database = await openDatabase(JSON.parse(process.argv[2]!) as DatabaseLocation);
const { project } = await projectFor(database, {});
const keys = new ApiKeys(database);
for (;;) {
  const hash = createHash('sha256').update(randomBytes(32)).digest();
  const { id } = await keys.create({ id: newId('key'), hash, name: 'test', projectId: project.id });
  process.stdout.write(`${id}\n`);
}
