import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type ApiKey, ApiKeys, type NewApiKey } from '../../src/store/api-keys.ts';
import { findCaller } from '../../src/store/callers.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { endedSince } from '../../src/store/ended.ts';
import { newId } from '../../src/store/id.ts';
import { projectFor } from '../../src/store/named.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { changingTogether, keyRevision } from '../../src/store/revision.ts';
import { describeDatabases } from './databases.ts';

const DAY_MS = 86_400_000;

describeDatabases('organizations, projects and keys', (newLocation) => {
  let database: Database;
  let organizations: Organizations;
  let projects: Projects;
  let keys: ApiKeys;
  let nowMs: number;

  beforeEach(async () => {
    nowMs = Date.UTC(2026, 0, 1);
    const now = () => nowMs;
    database = await openDatabase(await newLocation());
    organizations = new Organizations(database, now);
    projects = new Projects(database, now);
    keys = new ApiKeys(database, now);
    return () => database.close();
  });

  const find = async (hash: Buffer) => (await findCaller(database, hash, nowMs)).key;

  it('tells what has ended since: keys that were revoked, projects and organizations that were archived, secrets of keys that were rotated', async () => {
    const [acme, other] = [
      await organizations.create({ name: 'acme' }),
      await organizations.create({ name: 'other' }),
    ];
    const project = await projects.create({ name: 'support', organizationId: acme.id });
    const [early, late] = [newKey(project.id), newKey(project.id)];
    const rotated = newKey(project.id);
    for (const key of [early, late, rotated, newKey(project.id)]) await keys.create(key);
    await keys.revoke(early.id);
    nowMs += 1;
    const sinceMs = nowMs;
    expect(await endedSince(database, sinceMs)).toEqual({
      keys: new Set(),
      projects: new Set(),
      organizations: new Set(),
      secrets: new Map(),
    });
    await keys.revoke(late.id);
    const untilMs = nowMs + 1_000;
    await keys.rotate(rotated.id, newKey(project.id).hash, { overlapMs: 1_000 });
    nowMs += 1;
    await projects.archive(project.id);
    await organizations.archive(other.id);
    expect(await endedSince(database, sinceMs)).toEqual({
      keys: new Set([late.id]),
      projects: new Set([project.id]),
      organizations: new Set([other.id]),
      secrets: new Map([[rotated.hash.toString('base64url'), untilMs]]),
    });
  });

  it('gives back what was made, with limits, demands, weight and priority', async () => {
    const organization = await organizations.create({
      name: 'acme',
      limits: { requestsPerMinute: 60, nanoUsdPerMonth: Number.MAX_SAFE_INTEGER },
      demands: { privacy: 'private', regions: ['eu', 'us'] },
    });
    const project = await projects.create({
      name: 'support',
      organizationId: organization.id,
      weight: 2.5,
      priority: -1,
      limits: { concurrency: 3, nanoUsdPerDay: 0 },
      demands: { maxCostUsd: 0.01, regions: ['eu', 'asia'] },
    });
    const given = newKey(project.id, {
      role: 'viewer',
      models: ['auto', 'qwen'],
      endpoints: ['/v1/embeddings'],
      limits: { tokensPerMinute: 1000 },
      expiresAtMs: nowMs + DAY_MS,
    });
    const key = await keys.create(given);

    expect(await organizations.get(organization.id)).toEqual(organization);
    expect(await organizations.list()).toEqual([organization]);
    expect(await projects.get(project.id)).toEqual(project);
    expect(await projects.list({ organizationId: organization.id })).toEqual([project]);
    expect(await projects.list({ organizationId: newId('org') })).toEqual([]);
    expect(await keys.get(key.id)).toEqual(key);
    expect(await keys.list({ projectId: project.id })).toEqual([key]);
    expect(await keys.list({ projectId: newId('proj') })).toEqual([]);
    expect(await find(given.hash)).toEqual({
      expiresAtMs: nowMs + DAY_MS,
      caller: {
        keyId: given.id,
        projectId: project.id,
        organizationId: organization.id,
        role: 'viewer',
        models: ['auto', 'qwen'],
        endpoints: ['/v1/embeddings'],
        weight: 2.5,
        priority: -1,
        demands: { privacy: 'private', regions: ['eu'], maxCostUsd: 0.01 },
        limits: {
          key: { tokensPerMinute: 1000 },
          project: { concurrency: 3, nanoUsdPerDay: 0 },
          organization: { requestsPerMinute: 60, nanoUsdPerMonth: Number.MAX_SAFE_INTEGER },
        },
      },
    });
  });

  it('gives a key without more the role of a user, all models and no limits', async () => {
    const project = await someProject();
    const given = newKey(project.id);
    await keys.create(given);
    expect(await find(given.hash)).toEqual({
      expiresAtMs: undefined,
      caller: {
        keyId: given.id,
        projectId: project.id,
        organizationId: project.organizationId,
        role: 'user',
        weight: 1,
        priority: 0,
        demands: {},
        limits: { key: {}, project: {}, organization: {} },
      },
    });
  });

  it('knows nobody by another hash, however much of it is the same', async () => {
    const given = newKey((await someProject()).id);
    await keys.create(given);
    for (const i of [0, 15, 31]) {
      const other = Buffer.from(given.hash);
      other[i]! ^= 1;
      expect(await find(other)).toBeUndefined();
    }
    expect(await find(given.hash.subarray(0, 16))).toBeUndefined();
    expect(await find(Buffer.alloc(0))).toBeUndefined();
  });

  it('keeps no secret: neither lists nor a single key hold its hash', async () => {
    const given = newKey((await someProject()).id);
    const key = await keys.create(given);
    const shown = JSON.stringify([key, await keys.list(), await keys.get(given.id)]);
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      expect(shown).not.toContain(given.hash.toString(encoding));
    expect(shown).not.toContain('hash');
  });

  it('forgets a key that is revoked, for good', async () => {
    const given = newKey((await someProject()).id);
    await keys.create(given);
    expect(await keys.revoke(given.id)).toBe(true);
    expect(await find(given.hash)).toBeUndefined();
    expect(await keys.revoke(given.id)).toBe(false);
    expect(await keys.revoke(newId('key'))).toBe(false);
    expect(await keys.rotate(given.id, newHash(), { overlapMs: 0 })).toBeUndefined();
    expect(await keys.update(given.id, { name: 'again' })).toBeUndefined();
    expect((await keys.get(given.id))?.revokedAtMs).toBe(nowMs);
    expect(await find(given.hash)).toBeUndefined();
  });

  it('forgets a key at the moment it expires', async () => {
    const given = newKey((await someProject()).id, { expiresAtMs: nowMs + 1000 });
    await keys.create(given);
    nowMs += 999;
    expect(await find(given.hash)).toBeDefined();
    nowMs += 1;
    expect(await find(given.hash)).toBeUndefined();
  });

  it('keeps the old secret of a rotated key for the overlap, and the key what it is', async () => {
    const given = newKey((await someProject()).id, { limits: { requestsPerMinute: 5 } });
    await keys.create(given);
    const second = newHash();
    await keys.rotate(given.id, second, { overlapMs: DAY_MS });
    expect(await find(given.hash)).toMatchObject({ expiresAtMs: nowMs + DAY_MS });
    expect(await find(second)).toMatchObject({ expiresAtMs: undefined });
    expect((await find(second))?.caller).toEqual((await find(given.hash))?.caller);
    nowMs += DAY_MS;
    expect(await find(given.hash)).toBeUndefined();
    expect(await find(second)).toBeDefined();
  });

  it('never prolongs an old secret by rotating again', async () => {
    const given = newKey((await someProject()).id);
    await keys.create(given);
    const [second, third] = [newHash(), newHash()];
    await keys.rotate(given.id, second, { overlapMs: 1000 });
    await keys.rotate(given.id, third, { overlapMs: DAY_MS });
    expect(await find(given.hash)).toMatchObject({ expiresAtMs: nowMs + 1000 });
    expect(await find(second)).toMatchObject({ expiresAtMs: nowMs + DAY_MS });
    await keys.rotate(given.id, newHash(), { overlapMs: 0 });
    for (const old of [given.hash, second, third]) expect(await find(old)).toBeUndefined();
  });

  it('keeps nothing of secrets that have ended when it is rotated', async () => {
    const given = newKey((await someProject()).id);
    await keys.create(given);
    for (let i = 0; i < 5; i += 1) {
      nowMs += 1;
      await keys.rotate(given.id, newHash(), { overlapMs: 1 });
    }
    const left = await database.kysely.selectFrom('api_key_secret').select('key_id').execute();
    // The one before is good for a moment yet.
    expect(left).toHaveLength(2);
  });

  it('prolongs a rotated key, but not its old secret', async () => {
    const given = newKey((await someProject()).id, { expiresAtMs: nowMs + 1000 });
    await keys.create(given);
    const second = newHash();
    await keys.rotate(given.id, second, { overlapMs: DAY_MS, expiresAtMs: nowMs + 90 * DAY_MS });
    expect(await find(given.hash)).toMatchObject({ expiresAtMs: nowMs + 1000 });
    expect(await find(second)).toMatchObject({ expiresAtMs: nowMs + 90 * DAY_MS });
    nowMs += 91 * DAY_MS;
    await expect(keys.rotate(given.id, newHash(), { overlapMs: 0 })).rejects.toThrow('`expiresAtMs`');
    const third = newHash();
    await keys.rotate(given.id, third, { overlapMs: DAY_MS, expiresAtMs: null });
    expect(await find(second)).toBeUndefined();
    expect(await find(third)).toMatchObject({ expiresAtMs: undefined });
  });

  it('changes what is named and leaves the rest; null removes', async () => {
    const project = await someProject();
    const given = newKey(project.id, { models: ['a'], limits: { concurrency: 1, tokensPerMinute: 9 } });
    await keys.create(given);
    await keys.update(given.id, { limits: { concurrency: null, nanoUsdPerDay: 7 }, models: null });
    await projects.update(project.id, { weight: 3, demands: { privacy: 'local' } });
    await projects.update(project.id, { demands: { regions: ['eu'] } });
    await organizations.update(project.organizationId, { limits: { requestsPerMinute: 2 } });
    const { caller } = (await find(given.hash))!;
    expect(caller).toMatchObject({
      weight: 3,
      demands: { privacy: 'local', regions: ['eu'] },
      limits: { key: { tokensPerMinute: 9, nanoUsdPerDay: 7 }, organization: { requestsPerMinute: 2 } },
    });
    expect(caller.models).toBeUndefined();
    expect(caller.limits.key.concurrency).toBeUndefined();
    expect((await keys.get(given.id))?.name).toBe(given.name);
  });

  it('ends the keys of what is archived, and frees its name', async () => {
    const project = await someProject();
    const given = newKey(project.id);
    await keys.create(given);
    expect(await projects.archive(project.id)).toBe(true);
    expect(await projects.archive(project.id)).toBe(false);
    expect(await find(given.hash)).toBeUndefined();
    expect(await projects.update(project.id, { name: 'x' })).toBeUndefined();
    await expect(keys.create(newKey(project.id))).rejects.toMatchObject({ code: 'invalid_value' });
    const { organizationId, name } = project;
    const again = await projects.create({ organizationId, name });
    const other = newKey(again.id);
    await keys.create(other);
    expect(await organizations.archive(organizationId)).toBe(true);
    expect(await find(other.hash)).toBeUndefined();
    await expect(projects.create({ organizationId, name: 'new' })).rejects.toThrow('organizationId');
    await expect(keys.create(newKey(again.id))).rejects.toThrow('projectId');
    // Another secret would open nothing.
    expect(await keys.rotate(other.id, newKey(again.id).hash, { overlapMs: 0 })).toBeUndefined();
    expect(await keys.update(other.id, { name: 'x' })).toBeUndefined();
    expect(await projects.update(again.id, { name: 'x' })).toBeUndefined();
    expect(await keys.revoke(other.id)).toBe(true);
    expect((await projects.get(project.id))?.archivedAtMs).toBe(nowMs);
  });

  describe('of roles that somebody has nothing to do with', () => {
    const ROLES = ['user'] as const;
    const denied = { code: 'permission_denied' };

    it('are neither made, nor given to others', async () => {
      const given = newKey((await someProject()).id);
      await expect(keys.create({ ...given, role: 'admin' }, ROLES)).rejects.toMatchObject(denied);
      await keys.create(given, ROLES);
      await expect(keys.update(given.id, { role: 'viewer' }, ROLES)).rejects.toMatchObject(denied);
      expect((await keys.get(given.id))?.role).toBe('user');
    });

    it('are neither changed nor given another secret nor revoked', async () => {
      const given = { ...newKey((await someProject()).id), role: 'admin' as const };
      await keys.create(given);
      await expect(keys.update(given.id, { name: 'x' }, ROLES)).rejects.toMatchObject(denied);
      await expect(keys.rotate(given.id, newHash(), { overlapMs: 0 }, ROLES)).rejects.toMatchObject(denied);
      await expect(keys.revoke(given.id, ROLES)).rejects.toMatchObject(denied);
      expect(await keys.revoke(given.id)).toBe(true);
      expect(await keys.revoke(given.id, ROLES)).toBe(false);
    });

    it('keep their project as it is, as long as they are good', async () => {
      const project = await someProject();
      const [revoked, expiring] = [newKey(project.id), newKey(project.id)];
      await keys.create({ ...revoked, role: 'admin' });
      await keys.create({ ...expiring, role: 'viewer', expiresAtMs: nowMs + 10 });
      await keys.create(newKey(project.id));
      await keys.revoke(revoked.id);
      await expect(projects.update(project.id, { limits: {} }, ROLES)).rejects.toMatchObject(denied);
      await expect(projects.archive(project.id, ROLES)).rejects.toMatchObject(denied);
      expect((await projects.get(project.id))?.archivedAtMs).toBeUndefined();
      nowMs += 10;
      expect(await projects.update(project.id, { limits: {} }, ROLES)).toBeDefined();
      expect(await projects.archive(project.id, ROLES)).toBe(true);
    });

    it('are not ended with their project by whoever archives it at the moment that they are made', async () => {
      for (let i = 0; i < 10; i++) {
        const project = (await projectFor(database, { project: `p-${i}` })).project;
        const [made, archived] = await Promise.allSettled([
          keys.create({ ...newKey(project.id), role: 'admin' }),
          projects.archive(project.id, ROLES),
        ]);
        expect([made.status, archived.status].toSorted()).toEqual(['fulfilled', 'rejected']);
      }
    });
  });

  it('refuses a name that cannot be told from another by eye, and says what it may not have', async () => {
    for (const name of [' x', 'x\u00a0', 'x\u200d', '\u202ex', 'x\ny'])
      await expect(organizations.create({ name })).rejects.toMatchObject({
        param: 'name',
        message: expect.stringContaining(
          'nothing that cannot be seen among them, and no space at either end',
        ),
      });
  });

  it('refuses a name that is taken, by another in the same organization only', async () => {
    const project = await someProject();
    const taken = { status: 409, code: 'invalid_value', param: 'name' };
    const { organizationId, name } = project;
    await expect(projects.create({ organizationId, name })).rejects.toMatchObject(taken);
    await expect(organizations.create({ name: 'default' })).rejects.toMatchObject(taken);
    const other = await organizations.create({ name: 'other' });
    await projects.create({ organizationId: other.id, name });
    const second = await projects.create({ organizationId: other.id, name: 'second' });
    await expect(projects.update(second.id, { name })).rejects.toMatchObject(taken);
    await expect(organizations.update(other.id, { name: 'default' })).rejects.toMatchObject(taken);
  });

  it.each([
    ['name', { name: '' }],
    ['name', { name: 'a\u0000b' }],
    ['name', { name: 'x'.repeat(201) }],
    ['limits.requestsPerMinute', { limits: { requestsPerMinute: 0 } }],
    ['limits.nanoUsdPerDay', { limits: { nanoUsdPerDay: 0.5 } }],
    ['limits.nanoUsdPerDay', { limits: { nanoUsdPerDay: -1 } }],
    ['limits.concurrency', { limits: { concurrency: Number.NaN } }],
    ['limits.tokensPerMinute', { limits: { tokensPerMinute: 2 ** 53 } }],
    ['demands.regions', { demands: { regions: [] } }],
    ['demands.maxCostUsd', { demands: { maxCostUsd: -1 } }],
    ['models', { models: [] }],
    ['endpoints', { endpoints: ['v1/embeddings'] }],
    ['expiresAtMs', { expiresAtMs: 1 }],
    ['expiresAtMs', { expiresAtMs: Number.MAX_SAFE_INTEGER }],
    ['projectId', { projectId: 'proj_none' }],
  ])('refuses a key with a wrong %s (%j), and changes nothing', async (param, wrong) => {
    const project = await someProject();
    const before = await keyRevision(database);
    await expect(keys.create({ ...newKey(project.id), ...wrong })).rejects.toMatchObject({
      code: 'invalid_value',
      param,
    });
    expect(await keys.list()).toEqual([]);
    expect(await keyRevision(database)).toBe(before);
  });

  it('renames a key that has expired, which stays so', async () => {
    const given = newKey((await someProject()).id, { expiresAtMs: nowMs + 1000 });
    await keys.create(given);
    nowMs += 2000;
    expect(await keys.update(given.id, { name: 'old' })).toMatchObject({
      name: 'old',
      expiresAtMs: nowMs - 1000,
    });
    await expect(keys.update(given.id, { expiresAtMs: nowMs })).rejects.toThrow('`expiresAtMs`');
  });

  it('lists page by page, the oldest first, also what was made within one millisecond', async () => {
    const project = await someProject();
    for (let i = 0; i < 7; i += 1) {
      if (i > 3) nowMs += 1;
      await keys.create(newKey(project.id));
    }
    const all = await keys.list();
    const paged: ApiKey[] = [];
    for (let page = all; page.length > 0; ) {
      const after = paged.at(-1)?.id;
      page = await keys.list({ projectId: project.id, limit: 3, after });
      expect(page.length).toBeLessThanOrEqual(3);
      paged.push(...page);
    }
    expect(paged).toEqual(all);
    expect(await projects.list({ after: project.id })).toEqual([]);
    expect(await organizations.list({ limit: 1 })).toHaveLength(1);
  });

  it('reads no more of many keys than a page has', async () => {
    const { sqlite } = database;
    if (sqlite === undefined) return;
    const project = await someProject();
    const asked: string[] = [];
    const prepare = sqlite.prepare.bind(sqlite);
    sqlite.prepare = ((text: string) => {
      asked.push(text);
      return prepare(text);
    }) as typeof sqlite.prepare;
    await keys.list({ limit: 100, after: 'key_x' });
    await keys.list({ limit: 100, projectId: project.id });
    sqlite.prepare = prepare;
    const steps = asked.flatMap((text) =>
      prepare<unknown[], { readonly detail: string }>(`explain query plan ${text}`).all(
        ...Array.from(text.matchAll(/\?/g), () => null),
      ),
    );
    expect(asked).toHaveLength(2);
    expect(steps.map(({ detail }) => detail).join()).not.toMatch(/TEMP B-TREE|SCAN api_key(?! USING INDEX)/);
  });

  it('counts every change, once', async () => {
    const project = await someProject();
    const given = newKey(project.id);
    const changes: (() => Promise<unknown>)[] = [
      () => keys.create(given),
      () => keys.update(given.id, { name: 'other' }),
      () => keys.rotate(given.id, newHash(), { overlapMs: 0 }),
      () => keys.revoke(given.id),
      () => projects.update(project.id, { weight: 2 }),
      () => organizations.update(project.organizationId, { name: 'other' }),
      () => projects.archive(project.id),
      () => organizations.archive(project.organizationId),
    ];
    for (const change of changes) {
      const before = await keyRevision(database);
      await change();
      expect(await keyRevision(database)).toBe(before + 1);
    }
  });

  it('has had keys once there was one, also when it is revoked', async () => {
    expect(await keys.any()).toBe(false);
    const given = newKey((await someProject()).id);
    await keys.create(given);
    expect(await keys.any()).toBe(true);
    await keys.revoke(given.id);
    expect(await keys.any()).toBe(true);
  });

  it('makes the project of a name once, however many ask for it at once', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => projectFor(database, {})));
    expect(new Set(made.map(({ project }) => project.id)).size).toBe(1);
    expect(made.flatMap(({ made: what }) => what).sort()).toEqual([
      'organization default',
      'project default',
    ]);
    expect(await projects.list()).toHaveLength(1);
    expect(await organizations.list()).toHaveLength(1);
    const { project } = await projectFor(database, { organization: 'acme', project: 'default' });
    expect(project.id).not.toBe(made[0]!.project.id);
    const byId = await projectFor(database, { project: project.id });
    expect(byId).toEqual({ project, made: [] });
    const inOrganization = await projectFor(database, { organization: project.organizationId, project: 'x' });
    expect(inOrganization).toMatchObject({
      made: ['project x'],
      project: { organizationId: project.organizationId },
    });
    for (const unknown of [{ project: newId('proj') }, { organization: newId('org') }])
      await expect(projectFor(database, unknown)).rejects.toMatchObject({ code: 'invalid_value' });
  });

  it('makes several things together, or none of them', async () => {
    const making = (rpm: number) =>
      changingTogether(database, async (together) => {
        const { project } = await projectFor(together, { organization: 'acme' });
        const limits = { requestsPerMinute: rpm };
        return new ApiKeys(together).create({ ...newKey(project.id), limits });
      });
    await expect(making(0)).rejects.toMatchObject({ code: 'invalid_value' });
    expect(await organizations.list()).toEqual([]);
    const key = await making(1);
    expect(await keys.get(key.id)).toEqual(key);
    expect(await projects.list()).toMatchObject([{ id: key.projectId, name: 'default' }]);
  });

  it('makes 200 keys at once, all of them valid, on several connections', async () => {
    const project = await someProject();
    const all = Array.from({ length: 200 }, () => newKey(project.id));
    const before = await keyRevision(database);
    await Promise.all(all.map((given) => keys.create(given)));
    expect(await keys.list()).toHaveLength(200);
    expect(await keyRevision(database)).toBe(before + 200);
    for (const { id, hash } of all) expect((await find(hash))?.caller.keyId).toBe(id);
  });

  it('takes SQL in names, ids and lists for what it is: text', async () => {
    const evil = "x'); drop table api_key; --";
    const project = await projects.create({
      name: evil,
      organizationId: (await someProject()).organizationId,
    });
    const given = newKey(project.id, { name: evil, models: [evil] });
    await keys.create(given);
    expect(await keys.get(evil)).toBeUndefined();
    expect(await keys.list({ projectId: "' or '1'='1" })).toEqual([]);
    expect((await find(given.hash))?.caller.models).toEqual([evil]);
    expect((await keys.list())[0]?.name).toBe(evil);
  });

  it('shows another connection what has changed', async () => {
    const location = await newLocation();
    const here = await openDatabase(location);
    const there = await openDatabase(location);
    onTestFinished(async () => void (await Promise.all([here.close(), there.close()])));
    const { project } = await projectFor(here, {});
    const given = newKey(project.id);
    await new ApiKeys(here).create(given);
    const before = await keyRevision(there);
    expect((await findCaller(there, given.hash, nowMs)).key).toBeDefined();
    await new ApiKeys(here).revoke(given.id);
    expect(await keyRevision(there)).toBeGreaterThan(before);
    expect((await findCaller(there, given.hash, nowMs)).key).toBeUndefined();
  });

  const someProject = async () => (await projectFor(database, {})).project;
});

function newHash(): Buffer {
  return createHash('sha256').update(randomBytes(32)).digest();
}

function newKey(projectId: string, more: Partial<NewApiKey> = {}): NewApiKey {
  return { id: newId('key'), hash: newHash(), name: 'test', projectId, ...more };
}
