import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

/** Resolves to where a database is that nobody has opened yet. */
export type NewLocation = () => Promise<DatabaseLocation>;

/** Runs the same tests on a file of SQLite and on a real PostgreSQL, where there is one. */
export function describeDatabases(title: string, tests: (newLocation: NewLocation) => void): void {
  describe(`${title}, on SQLite`, () => {
    let folder: string;
    let files = 0;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'qianmen-store-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));
    tests(async () => {
      files += 1;
      return { kind: 'sqlite', path: join(folder, `${files}`, 'qianmen.db') };
    });
  });
  describe.skipIf(noPostgres())(`${title}, on PostgreSQL`, () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.remove());
    tests(async () => ({ kind: 'postgres', url: await server.createDatabase() }));
  });
}
