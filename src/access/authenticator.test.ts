import { describe, expect, it } from 'vitest';
import type { Caller } from '../core/caller.ts';
import type { KnownKey } from '../store/callers.ts';
import { hashApiKey, newApiKey } from './api-key.ts';
import { Authenticator } from './authenticator.ts';
import type { KeyNews } from './key-news.ts';

const TTL_MS = 600_000;

function callerOf(keyId: string): Caller {
  return {
    keyId,
    projectId: 'proj_1',
    organizationId: 'org_1',
    role: 'user',
    weight: 1,
    priority: 0,
    demands: {},
    limits: { key: {}, project: {}, organization: {} },
  };
}

/** A directory in memory that counts what it is asked, and can be out of reach. */
async function setUp(keys: Readonly<Record<string, Partial<KnownKey>>>) {
  const known = new Map<string, KnownKey>();
  for (const [secret, key] of Object.entries(keys))
    known.set(hashApiKey(secret).toString('hex'), {
      caller: callerOf(secret.slice(0, 6)),
      expiresAtMs: undefined,
      ...key,
    });
  const state = { nowMs: 0, revision: 1, down: false, endedFails: false, finds: 0 };
  const asked: number[] = [];
  const reach = () => {
    if (state.down) throw new Error('connection refused');
  };
  const ended = {
    ...{ keys: new Set<string>(), projects: new Set<string>(), organizations: new Set<string>() },
    secrets: new Map<string, number>(),
  };
  const problems: (string | undefined)[] = [];
  const told: KeyNews[] = [];
  const authenticator = new Authenticator({
    directory: {
      async find(hash) {
        state.finds += 1;
        reach();
        return { key: known.get(hash.toString('hex')), revision: state.revision };
      },
      async endedSince(sinceMs) {
        reach();
        asked.push(sinceMs);
        if (state.endedFails) throw new Error('connection reset');
        return ended;
      },
      async revision() {
        reach();
        return state.revision;
      },
      async anyKeys() {
        reach();
        return known.size > 0;
      },
    },
    ttlMs: TTL_MS,
    now: () => state.nowMs,
    wall: () => state.nowMs,
    onProblem: (problem) => problems.push(problem?.message),
    onNews: (news) => told.push(JSON.parse(JSON.stringify(news))),
  });
  await authenticator.poll();
  const change = async (work: () => void) => {
    work();
    state.revision += 1;
    await authenticator.poll();
  };
  return { authenticator, known, state, ended, asked, problems, told, change };
}

const ask = async (authenticator: Authenticator, secret: string | undefined) =>
  authenticator.authenticate(secret);

describe('who calls', () => {
  it('is anybody as long as there is no key, and nobody without one from then on', async () => {
    const { authenticator, known, change } = await setUp({});
    expect(authenticator.authenticate(undefined)).toBeUndefined();
    const { secret, hash } = newApiKey();
    await change(() => known.set(hash.toString('hex'), { caller: callerOf('new'), expiresAtMs: undefined }));
    await expect(ask(authenticator, undefined)).rejects.toMatchObject({
      code: 'invalid_api_key',
      status: 401,
    });
    expect(await ask(authenticator, secret)).toMatchObject({ keyId: 'new' });
  });

  it('is told without waiting, and without the database, from the second time on', async () => {
    const { secret } = newApiKey();
    const { authenticator, state } = await setUp({ [secret]: {} });
    const first = authenticator.authenticate(secret);
    expect(first).toBeInstanceOf(Promise);
    await first;
    expect(authenticator.authenticate(secret)).toMatchObject({ projectId: 'proj_1' });
    expect(state.finds).toBe(1);
  });

  it('costs one look-up for many that come at once', async () => {
    const { secret } = newApiKey();
    const { authenticator, state } = await setUp({ [secret]: {} });
    await Promise.all(Array.from({ length: 100 }, () => authenticator.authenticate(secret)));
    expect(state.finds).toBe(1);
  });

  it('is the same error for what is no key, nobody’s key, an expired one and a revoked one', async () => {
    const [good, expired, other] = [newApiKey(), newApiKey(), newApiKey()];
    const { authenticator, known, state, change } = await setUp({
      [good.secret]: {},
      [expired.secret]: { expiresAtMs: 50 },
      [newApiKey().secret]: {},
    });
    await ask(authenticator, good.secret);
    await ask(authenticator, expired.secret);
    state.nowMs = 50;
    known.delete(expired.hash.toString('hex'));
    await change(() => known.delete(good.hash.toString('hex')));
    const texts = [
      '',
      'sk-123',
      `${good.secret}x`,
      good.secret.slice(0, -1),
      good.secret,
      expired.secret,
      other.secret,
    ];
    const errors = await Promise.all(texts.map((text) => ask(authenticator, text).catch((error) => error)));
    expect(new Set(errors.map(({ code, status, message }) => `${code} ${status} ${message}`)).size).toBe(1);
    for (const { message } of errors) expect(message).not.toContain(good.secret.slice(0, 8));
  });

  it('asks the database for nothing that has not the form of a key', async () => {
    const { authenticator, state } = await setUp({ [newApiKey().secret]: {} });
    for (const odd of [
      "qm_' OR 1=1 --",
      'qm_',
      `qm_${'a'.repeat(44)}`,
      `qm_${'é'.repeat(43)}`,
      `qm_${'a'.repeat(42)}\n`,
    ])
      await expect(ask(authenticator, odd)).rejects.toMatchObject({ code: 'invalid_api_key' });
    expect(state.finds).toBe(0);
  });

  it('remembers wrong guesses for a while, and forgets no key for them', async () => {
    const { secret } = newApiKey();
    const wrong = newApiKey().secret;
    const { authenticator, state } = await setUp({ [secret]: {} });
    await ask(authenticator, secret);
    for (let i = 0; i < 50; i++)
      await expect(ask(authenticator, wrong)).rejects.toMatchObject({ status: 401 });
    expect(state.finds).toBe(2);
    for (let i = 0; i < 20_000; i++) await ask(authenticator, newApiKey().secret).catch(() => {});
    expect(authenticator.authenticate(secret)).toMatchObject({ projectId: 'proj_1' });
  });

  it('serves known keys on while the database is away, to their time, and says 503 to others', async () => {
    const [known, other] = [newApiKey().secret, newApiKey().secret];
    const { authenticator, state, problems } = await setUp({ [known]: {}, [other]: {} });
    await ask(authenticator, known);
    state.down = true;
    await authenticator.poll();
    state.nowMs += TTL_MS - 1;
    expect(authenticator.authenticate(known)).toMatchObject({ projectId: 'proj_1' });
    await expect(ask(authenticator, other)).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 });
    expect(authenticator.knowsNobody).toBe(false);
    state.nowMs += 1;
    await expect(ask(authenticator, known)).rejects.toMatchObject({ code: 'keys_unavailable' });
    expect(authenticator.knowsNobody).toBe(true);
    state.down = false;
    await authenticator.poll();
    expect(authenticator.knowsNobody).toBe(false);
    expect(await ask(authenticator, other)).toMatchObject({ projectId: 'proj_1' });
    expect(problems).toEqual(['connection refused', undefined]);
  });

  it('serves a known key on when the database goes away right after a change', async () => {
    const { secret } = newApiKey();
    const { authenticator, state, change } = await setUp({ [secret]: {} });
    await ask(authenticator, secret);
    await change(() => {});
    state.down = true;
    expect(await ask(authenticator, secret)).toMatchObject({ projectId: 'proj_1' });
  });

  it.each(['keys', 'projects', 'organizations'] as const)(
    'serves none on that had ended with its %s before the database went away, though nobody had asked about it since',
    async (what) => {
      const [gone, other] = [newApiKey().secret, newApiKey().secret];
      const ids = { keys: 'key_1', projects: 'proj_2', organizations: 'org_2' };
      const caller = { ...callerOf('key_1'), projectId: 'proj_2', organizationId: 'org_2' };
      const { authenticator, state, ended, told, change } = await setUp({ [gone]: { caller }, [other]: {} });
      await ask(authenticator, gone);
      await ask(authenticator, other);
      await change(() => ended[what].add(ids[what]));
      state.down = true;
      expect(await ask(authenticator, other)).toMatchObject({ projectId: 'proj_1' });
      await expect(ask(authenticator, gone)).rejects.toMatchObject({ code: 'keys_unavailable' });
      const about = { hash: hashApiKey(gone).toString('base64url') };
      expect(told).toContainEqual({ revision: 2, askedAtMs: 0, about });
    },
  );

  it('serves none with a secret that was rotated out before the database went away, beyond its overlap', async () => {
    const [gone, going, other] = [newApiKey().secret, newApiKey().secret, newApiKey().secret];
    const { authenticator, known, state, ended, change } = await setUp({
      [gone]: {},
      [going]: {},
      [other]: {},
    });
    for (const secret of [gone, going, other]) await ask(authenticator, secret);
    const untilMs = 60_000;
    await change(() => {
      known.delete(hashApiKey(gone).toString('hex'));
      known.set(hashApiKey(going).toString('hex'), { caller: callerOf('key_1'), expiresAtMs: untilMs });
      ended.secrets.set(hashApiKey(gone).toString('base64url'), 0);
      ended.secrets.set(hashApiKey(going).toString('base64url'), untilMs);
    });
    const { finds } = state;
    await change(() => {});
    expect(state.finds).toBe(finds);
    state.down = true;
    await expect(ask(authenticator, gone)).rejects.toMatchObject({ code: 'keys_unavailable' });
    expect(await ask(authenticator, going)).toMatchObject({ keyId: 'key_1' });
    state.nowMs = untilMs;
    await expect(ask(authenticator, going)).rejects.toMatchObject({ code: 'keys_unavailable' });
    expect(await ask(authenticator, other)).toMatchObject({ projectId: 'proj_1' });
  });

  it('asks what has ended since the last change, and again where it could not be told', async () => {
    const { secret } = newApiKey();
    const { authenticator, state, ended, asked, change } = await setUp({ [secret]: {} });
    await ask(authenticator, secret);
    state.nowMs = 1_000_000;
    await change(() => {});
    state.nowMs = 2_000_000;
    state.endedFails = true;
    await change(() => ended.keys.add(secret.slice(0, 6)));
    state.nowMs = 2_000_500;
    state.endedFails = false;
    await authenticator.poll();
    const early = 300_000;
    expect(asked.slice(-2)).toEqual([1_000_000 - early, 1_000_000 - early]);
    state.down = true;
    await expect(ask(authenticator, secret)).rejects.toMatchObject({ code: 'keys_unavailable' });
  });

  it('needs a key as long as nobody can say whether there are any', async () => {
    const { authenticator, state } = await setUp({});
    state.down = true;
    const blind = new Authenticator({
      directory: {
        find: () => Promise.reject(new Error('down')),
        endedSince: () => Promise.reject(new Error('down')),
        revision: () => Promise.reject(new Error('down')),
        anyKeys: () => Promise.reject(new Error('down')),
      },
      ttlMs: TTL_MS,
    });
    await blind.poll();
    await expect(ask(blind, undefined)).rejects.toMatchObject({ status: 401 });
    await expect(ask(blind, newApiKey().secret)).rejects.toMatchObject({ code: 'keys_unavailable' });
    expect(authenticator.keysNeeded).toBe(false);
  });

  it('takes changed limits after a change', async () => {
    const { secret, hash } = newApiKey();
    const { authenticator, known, change } = await setUp({ [secret]: {} });
    await ask(authenticator, secret);
    await change(() =>
      known.set(hash.toString('hex'), { caller: { ...callerOf('k'), weight: 2 }, expiresAtMs: undefined }),
    );
    expect(await ask(authenticator, secret)).toMatchObject({ weight: 2 });
  });

  it('serves more known keys than guesses are looked up at a time, when all are asked about again', async () => {
    const secrets = Array.from({ length: 1_500 }, () => newApiKey().secret);
    const { authenticator, change } = await setUp(Object.fromEntries(secrets.map((secret) => [secret, {}])));
    for (const secret of secrets) await ask(authenticator, secret);
    await change(() => {});
    const callers = await Promise.all(secrets.map((secret) => ask(authenticator, secret)));
    expect(callers.every((caller) => caller?.projectId === 'proj_1')).toBe(true);
    const guesses = Array.from({ length: 1_500 }, () => ask(authenticator, newApiKey().secret));
    const codes = await Promise.all(guesses.map((guess) => guess.catch(({ code }) => code)));
    expect(new Set(codes)).toEqual(new Set(['invalid_api_key', 'keys_unavailable']));
  });

  it('knows of a change once it has been told of it, whatever it was asking meanwhile', async () => {
    const { secret, hash } = newApiKey();
    const { authenticator, known, state } = await setUp({ [secret]: {}, [newApiKey().secret]: {} });
    await ask(authenticator, secret);
    const asking = authenticator.poll();
    known.delete(hash.toString('hex'));
    state.revision += 1;
    await authenticator.refresh();
    await asking;
    await expect(ask(authenticator, secret)).rejects.toMatchObject({ code: 'invalid_api_key' });
  });
});

describe('who calls, where several processes are asked', () => {
  /** Two of them in front of a directory with this key and another, each with a clock that shows the same. */
  async function setUpTwo(secret: string) {
    const keys = { [secret]: {}, [newApiKey().secret]: {} };
    const [one, other] = [await setUp(keys), await setUp(keys)];
    const tell = () => {
      for (const news of one.told.splice(0)) other.authenticator.hear(news);
    };
    return { one, other, tell };
  }

  it('is known to all of them once one has asked, and is not in what they tell each other', async () => {
    const { secret } = newApiKey();
    const { one, other, tell } = await setUpTwo(secret);
    await ask(one.authenticator, secret);
    expect(JSON.stringify(one.told)).not.toContain(secret.slice(3));
    tell();
    expect(other.authenticator.authenticate(secret)).toMatchObject({ projectId: 'proj_1' });
    expect(other.state.finds).toBe(0);
  });

  it('is nobody new for a guess', async () => {
    const { one } = await setUpTwo(newApiKey().secret);
    await ask(one.authenticator, newApiKey().secret).catch(() => {});
    expect(one.told).toEqual([]);
  });

  it('is known for as long as it is where it was asked about, also to one that begins later', async () => {
    const { secret } = newApiKey();
    const { one, other, tell } = await setUpTwo(secret);
    await ask(one.authenticator, secret);
    one.state.nowMs = other.state.nowMs = TTL_MS * 3;
    await one.authenticator.poll();
    for (const { state } of [one, other]) state.down = true;
    one.state.nowMs = other.state.nowMs += 500;
    for (const { authenticator } of [one, other]) await authenticator.poll();
    tell();
    for (const ageMs of [TTL_MS - 1, TTL_MS]) {
      one.state.nowMs = other.state.nowMs = TTL_MS * 3 + ageMs;
      const answers = [one, other].map(({ authenticator }) =>
        ask(authenticator, secret).catch(({ code }) => code),
      );
      const expected = ageMs < TTL_MS ? { projectId: 'proj_1' } : 'keys_unavailable';
      for (const answer of await Promise.all(answers))
        if (typeof expected === 'string') expect(answer).toBe(expected);
        else expect(answer).toMatchObject(expected);
    }
  });

  it('is refused by all once one knows that it has ended, whatever is still under way', async () => {
    const { secret, hash } = newApiKey();
    const { one, other, tell } = await setUpTwo(secret);
    await ask(one.authenticator, secret);
    const underWay = [...one.told];
    tell();
    await one.change(() => one.known.delete(hash.toString('hex')));
    await expect(ask(one.authenticator, secret)).rejects.toMatchObject({ status: 401 });
    other.state.down = true;
    tell();
    await expect(ask(other.authenticator, secret)).rejects.toMatchObject({ code: 'keys_unavailable' });
    for (const news of underWay) other.authenticator.hear(news);
    await expect(ask(other.authenticator, secret)).rejects.toMatchObject({ code: 'keys_unavailable' });
  });

  it('is not who was read before a change that is known already', async () => {
    const { secret, hash } = newApiKey();
    const { one, other, tell } = await setUpTwo(secret);
    await ask(one.authenticator, secret);
    await other.change(() => other.known.delete(hash.toString('hex')));
    tell();
    other.state.down = true;
    await expect(ask(other.authenticator, secret)).rejects.toMatchObject({ code: 'keys_unavailable' });
  });

  it('is asked about again when another has read that something has changed', async () => {
    const { secret } = newApiKey();
    const { one, other, tell } = await setUpTwo(secret);
    await ask(other.authenticator, secret);
    await one.change(() => {});
    await ask(one.authenticator, secret);
    other.state.revision = one.state.revision;
    const { finds } = other.state;
    other.authenticator.hear({ revision: one.state.revision, askedAtMs: 0 });
    await ask(other.authenticator, secret);
    expect(other.state.finds).toBe(finds + 1);
    tell();
    expect(other.authenticator.authenticate(secret)).toMatchObject({ projectId: 'proj_1' });
  });
});
