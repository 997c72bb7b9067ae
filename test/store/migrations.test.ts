import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { migrate } from '../../src/store/migrate.ts';
import { MIGRATIONS, type Migration } from '../../src/store/migrations.ts';
import { describeDatabases } from './databases.ts';

const OPEN = fileURLToPath(new URL('open-process.ts', import.meta.url));

function openingProcess(location: DatabaseLocation) {
  const child = spawn(process.execPath, [OPEN, JSON.stringify(location)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return {
    ready: once(child.stdout, 'data'),
    open: () => {
      child.stdin.write('open\n');
      return text(child.stdout);
    },
  };
}

describeDatabases('migrations', (newLocation) => {
  const open = async (location: DatabaseLocation, wanted: boolean) => {
    const database = await openDatabase(location, { migrate: wanted });
    onTestFinished(() => database.close());
    return database;
  };

  it('are made once, in order, however many processes start at once', async () => {
    const location = await newLocation();
    const processes = Array.from({ length: 4 }, () => openingProcess(location));
    await Promise.all(processes.map(({ ready }) => ready));
    const outputs = await Promise.all(processes.map(({ open }) => open()));
    expect(outputs).toEqual(outputs.map(() => `${MIGRATIONS.length}\n`));
    const { kysely } = await open(location, true);
    const seen = await kysely.selectFrom('schema_migration').selectAll().orderBy('number').execute();
    expect(seen.map(({ number, name }) => [number, name])).toEqual(
      MIGRATIONS.map(({ name }, i) => [i + 1, name]),
    );
  });

  it('are made once by many who open it within one process, too', async () => {
    const location = await newLocation();
    const all = await Promise.all(Array.from({ length: 8 }, () => open(location, true)));
    for (const { kysely } of all)
      expect(await kysely.selectFrom('schema_migration').select('number').execute()).toHaveLength(
        MIGRATIONS.length,
      );
  });

  it('leave nothing behind when one of them fails, and go on once it is mended', async () => {
    const database = await open(await newLocation(), false);
    const failing: Migration = {
      name: 'failing',
      async up({ schema }) {
        await schema.createTable('half').addColumn('id', 'integer').execute();
        throw new Error('no further');
      },
    };
    await expect(migrate(database, [...MIGRATIONS, failing])).rejects.toThrow('no further');
    const tables = async () => (await database.kysely.introspection.getTables()).map(({ name }) => name);
    expect(await tables()).toEqual([]);
    const mended: Migration = {
      name: 'mended',
      up: ({ schema }) => schema.createTable('whole').addColumn('id', 'integer').execute(),
    };
    await migrate(database);
    await migrate(database, [...MIGRATIONS, mended]);
    expect(await tables()).toContain('whole');
    expect(await tables()).not.toContain('half');
  });

  it('are refused where a newer version has been, which is left as it is', async () => {
    const location = await newLocation();
    const { kysely } = await open(location, true);
    const newer = { number: MIGRATIONS.length + 1, name: 'to come', applied_at_ms: 0 };
    await kysely.insertInto('schema_migration').values(newer).execute();
    await expect(openDatabase(location)).rejects.toThrow(
      new RegExp(
        `newer qianmen .its tables are of version ${newer.number}, this one knows ${MIGRATIONS.length}.*Start the newer one again`,
      ),
    );
    expect(await kysely.selectFrom('api_key').selectAll().execute()).toEqual([]);
  });
});
