import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashApiKey } from '../../src/access/api-key.ts';
import { findCaller } from '../../src/store/callers.ts';
import { openDatabase } from '../../src/store/database.ts';
import type { DatabaseLocation } from '../../src/store/location.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { noPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SECRET = /qm_[\w-]{43}/g;

describe('the command line', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qianmen-cli-'));
    return () => rmSync(folder, { recursive: true });
  });

  async function qianmen(...args: string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await exited, out, err };
  }

  async function callerOf(secret: string, location?: DatabaseLocation) {
    const file = { kind: 'sqlite', path: join(folder, 'data', 'qianmen.db') } as const;
    const database = await openDatabase(location ?? file);
    try {
      return (await findCaller(database, hashApiKey(secret), Date.now())).key?.caller;
    } finally {
      await database.close();
    }
  }

  it('makes a key that works, and shows its secret once, with a line that says so', async () => {
    const { code, out, err } = await qianmen('key', 'create');
    expect(code).toBe(0);
    const [secret, ...more] = out.match(SECRET)!;
    expect(more).toEqual([]);
    expect(out).toContain('The secret is shown this once');
    expect(err).not.toContain(secret);
    expect(err).toContain('made the organization default\nmade the project default\nIt is the first');
    expect(await callerOf(secret!)).toMatchObject({ role: 'user', limits: { key: {}, project: {} } });
    const { out: listed } = await qianmen('key', 'list', '--json');
    expect(listed).not.toContain(secret);
    expect(listed).not.toContain(hashApiKey(secret!).toString('hex'));
  });

  it('says when it has made a database: where there was none may be the wrong place', async () => {
    const made = `made the database ${join('elsewhere', 'qianmen.db')}\n`;
    expect((await qianmen('key', 'list', '--data-dir', 'elsewhere')).err).toBe(made);
    expect((await qianmen('key', 'list', '--data-dir', 'elsewhere')).err).toBe('');
  });

  it('takes limits, scopes, an owner and an end', async () => {
    const args =
      'key create --json --name bot --organization acme --project support --role viewer --models qwen,auto --endpoints /v1/embeddings ' +
      '--expires-in 90d --rpm 60 --tpm 1000 --concurrency 2 --usd-per-day 0.1 --usd-per-month 9007199.254740991 --regions eu';
    const { out } = await qianmen(...args.split(' '));
    const { secret, expiresAtMs } = JSON.parse(out) as { secret: string; expiresAtMs: number };
    expect(Math.abs(expiresAtMs - Date.now() - 90 * 86_400_000)).toBeLessThan(60_000);
    expect(await callerOf(secret)).toMatchObject({
      role: 'viewer',
      models: ['qwen', 'auto'],
      endpoints: ['/v1/embeddings'],
      demands: { regions: ['eu'] },
      limits: {
        key: {
          requestsPerMinute: 60,
          tokensPerMinute: 1000,
          concurrency: 2,
          nanoUsdPerDay: 100_000_000,
          nanoUsdPerMonth: Number.MAX_SAFE_INTEGER,
        },
      },
    });
    const { out: table } = await qianmen('key', 'list', '--organization', 'acme');
    const [titles, row, ...rest] = table.split('\n');
    expect(row!.indexOf('acme/support')).toBe(titles!.indexOf('PROJECT'));
    expect(row).toContain(
      '60 requests/min, 1000 tokens/min, 2 at once, 0.1 USD/day, 9007199.254740991 USD/month',
    );
    expect(rest).toEqual(['']);
  });

  it('warns of models and regions that the configuration does not have, and takes them', async () => {
    const yaml =
      'upstreams:\n  - { name: up, url: "http://127.0.0.1:1/v1", region: eu }\nmodels:\n  - { name: qwen, deployments: [{ upstream: up }] }\n';
    writeFileSync(join(folder, 'qianmen.yaml'), yaml);
    const made = await qianmen(...'key create --models qwen,qwne --regions eu'.split(' '));
    expect(made.err).toContain('warning: there is no model `qwne` in qianmen.yaml, only `qwen`\n');
    expect(made.err.match(/warning/g)).toHaveLength(1);
    expect(await callerOf(made.out.match(SECRET)![0])).toMatchObject({ models: ['qwen', 'qwne'] });
    const set = await qianmen(...'project set default --regions eu,us'.split(' '));
    expect(set.err).toBe('warning: there is no region `us` in qianmen.yaml, only `eu`\n');
  });

  it('lists projects with the names of their organizations', async () => {
    await qianmen(...'project set support --organization acme'.split(' '));
    const [titles, row] = (await qianmen('project', 'list')).out.split('\n');
    expect(row!.indexOf('acme')).toBe(titles!.indexOf('ORGANIZATION'));
    await qianmen('organization', 'archive', 'acme');
    expect((await qianmen('project', 'list')).out).not.toContain('support');
  });

  it('makes nothing where something about it is refused', async () => {
    await qianmen('key', 'list');
    const refused = await Promise.all([
      qianmen(...'key create --organization acme --project support --rpm 0'.split(' ')),
      qianmen(...'project set support --organization acme --weight 0'.split(' ')),
    ]);
    for (const { code, err } of refused) {
      expect(code).toBe(1);
      expect(err).toMatch(/must be a (whole )?number/);
      expect(err).not.toContain('made the');
    }
    const database = await openDatabase({ kind: 'sqlite', path: join(folder, 'data', 'qianmen.db') });
    expect(await new Organizations(database).list()).toEqual([]);
    await database.close();
  });

  it('rotates with an overlap, and revokes', async () => {
    const created = JSON.parse((await qianmen('key', 'create', '--json')).out) as {
      id: string;
      secret: string;
    };
    const rotated = await qianmen('key', 'rotate', created.id, '--overlap', '1h', '--json');
    const { secret } = JSON.parse(rotated.out) as { secret: string };
    expect(rotated.err).toMatch(/The secret before is valid until .* UTC at most/);
    expect((await callerOf(created.secret))?.keyId).toBe(created.id);
    expect((await callerOf(secret))?.keyId).toBe(created.id);
    expect(await qianmen('key', 'revoke', created.id)).toMatchObject({ code: 0 });
    expect(await callerOf(secret)).toBeUndefined();
    expect(await callerOf(created.secret)).toBeUndefined();
    expect(await qianmen('key', 'revoke', created.id)).toMatchObject({ code: 1, out: '' });
    expect(await qianmen('key', 'list')).toMatchObject({ out: 'There are no keys.\n' });
    expect((await qianmen('key', 'list', '--all')).out).toContain('revoked');
  });

  it('sets and removes what a project and an organization may do', async () => {
    const { secret } = JSON.parse((await qianmen('key', 'create', '--json')).out) as { secret: string };
    const weight = ['--weight', '2.5', '--priority', '-1', '--tpm', '500', '--rpm', '9'];
    await qianmen('project', 'set', 'default', ...weight);
    await qianmen('organization', 'set', 'default', '--usd-per-month', '100', '--privacy', 'private');
    expect((await qianmen('project', 'set', 'default', '--rpm', 'none')).out).toContain('500 tokens/min');
    const caller = await callerOf(secret);
    expect(caller).toMatchObject({ weight: 2.5, priority: -1, demands: { privacy: 'private' } });
    expect(caller?.limits).toEqual({
      key: {},
      project: { tokensPerMinute: 500 },
      organization: { nanoUsdPerMonth: 100_000_000_000 },
    });
    expect((await qianmen('organization', 'archive', 'default')).code).toBe(0);
    expect(await callerOf(secret)).toBeUndefined();
  });

  it.each([
    [['key', 'create', '--rpm', '1.5'], 'must be a whole number'],
    [['key', 'create', '--rpm', '0'], 'limits.requestsPerMinute'],
    [['key', 'create', '--usd-per-day', '1e9'], 'must be a number such as 2.5'],
    [['key', 'create', '--expires-in', 'soon'], 'must be a time such as 90d'],
    [['key', 'rotate', 'key_0', '--expires-in', '0s'], 'must be more than no time'],
    [['key', 'create', '--endpoints', '/v1/chat/completion'], 'must be some of /v1/chat/completions'],
    [['key', 'create', '--role', 'king'], '`role` must be one of user'],
    [['key', 'create', '--project', 'proj_0'], 'names no project'],
    [['key', 'rotate', 'key_0'], 'there is no key key_0'],
    [['key', 'list', '--project', 'nobody'], 'there is no project `nobody`'],
    [['project', 'archive', 'nobody'], 'there is no project `nobody`'],
    [['database', 'copy', '--to', 'postgres://127.0.0.1:1/x'], 'there is no database'],
  ])('refuses %j in one line that says why', async (args, why) => {
    const { code, out, err } = await qianmen(...args);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain(why);
    expect(err).not.toContain('    at ');
  });

  it('checks and backs up the database, and says where a damaged one is', async () => {
    await qianmen('key', 'create');
    expect(await qianmen('database', 'check')).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing is wrong'),
    });
    expect(await qianmen('database', 'backup', 'b.db')).toMatchObject({ code: 0 });
    expect(await qianmen('database', 'backup', 'b.db')).toMatchObject({ code: 1 });
    const path = join('data', 'qianmen.db');
    writeFileSync(join(folder, path), 'no database');
    const checked = await qianmen('database', 'check', '--json');
    expect(checked.code).toBe(1);
    expect(JSON.parse(checked.out)).toMatchObject({ ok: false, problems: [expect.stringContaining(path)] });
    expect((await qianmen('key', 'list')).err).toContain('qianmen database check');
  });

  it('lists what the database has refused of the ledger, and has it tried again', async () => {
    const ledger = join(folder, 'data', 'ledger');
    mkdirSync(ledger, { recursive: true });
    const row = ['s.0', 1.7e12, 'org_1', 'proj_1', 'key_1', 'req', 'chat', 'm', 'u/m', 'first', 'delivered'];
    const rows = [
      { row: [...row, 1, 10, 0, 5, 0, 1_500_000, 0, 9], reason: 'of old' },
      { row: ['t.0', ...row.slice(1), 1, -10, 0, 5, 0, 70, 0, 9], reason: 'of old' },
    ];
    const lines = rows.map((one) => JSON.stringify(one));
    writeFileSync(join(ledger, 'refused-rows.jsonl'), `${lines.join('\n')}\n`);
    const listed = await qianmen('database', 'refused');
    expect(listed.code).toBe(0);
    expect(listed.out).toMatch(/s\.0 +2023-11-14 22:13 UTC +proj_1 +key_1 +m +0\.0015 +of old\n/);
    const tried = await qianmen('database', 'refused', '--retry');
    expect(tried.code).toBe(1);
    expect(tried.out).toMatch(/^The database has taken 1 rows\.\nID .*\nt\.0 .*CHECK/);
    const { out } = await qianmen('database', 'refused', '--json');
    expect(JSON.parse(out)).toMatchObject({ rows: [{ row: rows[1]!.row }], unreadable: [] });
  });

  it('restores a backup, and copies the database, but not under a gateway that runs', async () => {
    const before = JSON.parse((await qianmen('key', 'create', '--json')).out) as { secret: string };
    await qianmen('database', 'backup', 'b.db');
    const after = JSON.parse((await qianmen('key', 'create', '--json')).out) as { secret: string };
    const upstreams = [{ name: 'away', url: 'http://127.0.0.1:1/v1' }];
    const gateway = await startGatewayProcess({ dataDir: join(folder, 'data'), upstreams });
    for (const command of ['restore b.db', 'copy --to postgres://127.0.0.1:1/nowhere'])
      expect(await qianmen('database', ...command.split(' ')), command).toMatchObject({
        code: 1,
        err: expect.stringContaining('a gateway runs on'),
      });
    await gateway.kill();
    const restored = JSON.parse((await qianmen('database', 'restore', 'b.db', '--json')).out) as {
      aside: string;
    };
    expect(await callerOf(before.secret)).toBeDefined();
    expect(await callerOf(after.secret)).toBeUndefined();
    const path = join(folder, restored.aside);
    expect(await callerOf(after.secret, { kind: 'sqlite', path })).toBeDefined();
  });

  describe.skipIf(noPostgres())('with PostgreSQL', () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.remove());
    const use = (url: string) => writeFileSync(join(folder, 'qianmen.yaml'), `database: ${url}\n`);

    it('works on the database of the configuration', async () => {
      const url = await server.createDatabase();
      use(url);
      const { secret } = JSON.parse((await qianmen('key', 'create', '--json')).out) as { secret: string };
      expect(await callerOf(secret, { kind: 'postgres', url })).toBeDefined();
      expect(await qianmen('database', 'check')).toMatchObject({ code: 0 });
      const backup = await qianmen('database', 'backup', 'b.db');
      expect(backup).toMatchObject({ code: 1, err: expect.stringContaining('`pg_dump`') });
    });

    it('moves everything there, once', async () => {
      const url = await server.createDatabase();
      const { secret } = JSON.parse((await qianmen('key', 'create', '--json')).out) as { secret: string };
      const copied = await qianmen('database', 'copy', '--to', url);
      expect(copied).toMatchObject({ code: 0, out: expect.stringContaining('api_key: 1 rows') });
      expect(await callerOf(secret, { kind: 'postgres', url })).toBeDefined();
      const again = await qianmen('database', 'copy', '--to', url);
      expect(again).toMatchObject({ code: 1, err: expect.stringContaining('not empty') });
      const nowhere = await qianmen('database', 'copy', '--to', new URL(url).host);
      expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining('begins with postgres://') });
    });

    it('says what is wrong when the server is away, without its password', async () => {
      use('postgres://me:hidden@127.0.0.1:1/x');
      for (const command of ['list', 'create']) {
        const { code, err } = await qianmen('key', command);
        expect(code).toBe(1);
        expect(err).toContain('PostgreSQL at 127.0.0.1:1/x cannot be used');
        expect(err).not.toContain('hidden');
      }
    });
  });
});
