import { describe, expect, it } from 'vitest';
import { spawnFake } from '../upstream/harness.ts';
import { eventually, isWhole, type ServedFleet, serveFleet, serveUpstreams } from './fleet.ts';

/** Enough requests for figures to be known and for as many hedges to be earned as are needed. */
async function warmUp(fleet: ServedFleet, requests = 120, stream = true, hedges = 1): Promise<number> {
  let asked = 0;
  while (asked < requests || fleet.model().hedges.available < hedges) {
    await Promise.all(Array.from({ length: 10 }, () => fleet.ask({ stream })));
    asked += 10;
  }
  return asked;
}

const QUICK = { ttftMs: 20, tokens: 3 };
const HUNG = { ttftMs: 20_000 };

describe('a stream whose first token is late', () => {
  it('is asked for once more, elsewhere, and the late one is told to stop', async () => {
    const fleet = await serveFleet([QUICK, QUICK], { model: { hedge: true } });
    const asked = await warmUp(fleet);
    expect(await fleet.metric('qianmen_hedges_total')).toBeLessThanOrEqual(asked / 20);
    const before = fleet.model().hedges.won;
    fleet.fakes[0]?.setBehaviour(HUNG);
    while (fleet.model().hedges.won === before) {
      const answer = await fleet.ask();
      expect(isWhole(answer)).toBe(true);
      expect(answer.durationMs).toBeLessThan(5_000);
    }
    await eventually('the late one has stopped', () => fleet.fakes[0]?.inFlight() === 0, 5_000);
    expect(fleet.fakes[0]?.requests.at(-1)?.aborted).toBe(true);
    const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
    expect(metrics).toMatch(/qianmen_hedges_total\{model="m",backend="b",result="won"\} [1-9]/);
    expect(metrics).toMatch(/qianmen_backend_attempts_total\{backend="a",code="lost"\} [1-9]/);
    await fleet.idle();
  });

  it('is not asked for again unless the model is told to', async () => {
    const fleet = await serveFleet([QUICK, QUICK]);
    await warmUp(fleet);
    fleet.fakes[0]?.setBehaviour({ ...QUICK, ttftMs: 600 });
    const answers = [await fleet.ask(), await fleet.ask()];
    expect(answers.filter(isWhole)).toHaveLength(2);
    expect(fleet.fakes.reduce((sum, fake) => sum + fake.requests.length, 0)).toBe(122);
    expect(await fleet.metric('qianmen_hedges_total')).toBe(0);
  });

  it('costs a twentieth of the requests at the most', async () => {
    const fleet = await serveFleet([QUICK, QUICK], {
      model: { hedge: true },
      upstream: { timeouts: { firstByteMs: 400 } },
    });
    let asked = await warmUp(fleet, 60);
    fleet.fakes[0]?.setBehaviour({ ...QUICK, ttftMs: 200 });
    fleet.fakes[1]?.setBehaviour({ ...QUICK, ttftMs: 200 });
    asked += await warmUp(fleet, 100);
    const { won, lost } = fleet.model().hedges;
    expect(won + lost).toBeLessThanOrEqual(asked / 20);
    await fleet.idle();
  });

  it('is left to wait when both are late and the fleet is busy', async () => {
    const fleet = await serveFleet([QUICK, QUICK], {
      model: { hedge: true },
      upstream: { concurrency: { initial: 4, max: 4 } },
    });
    await warmUp(fleet);
    const { won, lost } = fleet.model().hedges;
    for (const fake of fleet.fakes) fake.setBehaviour({ ...QUICK, ttftMs: 500 });
    await Promise.all(Array.from({ length: 7 }, () => fleet.ask()));
    expect(fleet.model().hedges).toMatchObject({ won, lost });
    await fleet.idle();
  });

  it('goes when its client goes, both times that it was asked for', async () => {
    const fleet = await serveFleet([QUICK, QUICK], { model: { hedge: true } });
    await warmUp(fleet);
    for (const fake of fleet.fakes) fake.setBehaviour(HUNG);
    const leaving = new AbortController();
    const gone = fleet.ask({ signal: leaving.signal }).catch(() => 'gone');
    await eventually('both work', () => fleet.fakes.every((fake) => fake.inFlight() === 1));
    leaving.abort();
    expect(await gone).toBe('gone');
    await eventually('none works', () => fleet.fakes.every((fake) => fake.inFlight() === 0), 5_000);
    await fleet.idle();
  });
});

describe('one of two attempts', () => {
  /** Far later than the other one fails, which is asked again where its connection was not new. */
  const SLOW = { ...QUICK, ttftMs: 1_500 };
  it.each([
    ['is refused', { headerDelayMs: 200, status: 500 }],
    ['loses its connection', { headerDelayMs: 200, dieAfterEvents: 0 }],
  ])(
    '%s: the other one answers, whichever came first, and each is told for what it was',
    async (_, broken) => {
      const fleet = await serveFleet([QUICK, QUICK], { model: { hedge: true } });
      // One for each of the two that are asked, wherever they go first.
      const asked = await warmUp(fleet, 160, true, 2);
      const [a, b] = fleet.fakes;
      a!.setBehaviour(broken);
      b!.setBehaviour(SLOW);
      const { won, lost } = fleet.model().hedges;
      const answers = [await fleet.ask(), await fleet.ask()];
      expect(answers.filter(isWhole)).toHaveLength(2);
      const { hedges } = fleet.model();
      expect(hedges.won + hedges.lost).toBeGreaterThan(won + lost);
      const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
      const told = (name: string, labels: string) => {
        const line = new RegExp(`^${name}\\{.*${labels}.*\\} (\\d+)$`, 'm').exec(metrics);
        return Number(line?.[1] ?? 0);
      };
      const failed = told('qianmen_backend_attempts_total', 'backend="a",code="upstream_error"');
      expect(failed).toBe(2);
      expect(told('qianmen_backend_attempts_total', 'backend="b",code="upstream_error"')).toBe(0);
      expect(told('qianmen_requests_total', 'outcome="ok"')).toBe(asked + answers.length);
      expect(metrics).not.toMatch(/^qianmen_requests_total\{.*outcome="error"/m);
      await fleet.idle();
    },
  );
});

describe('a whole reply that is late', () => {
  it('is asked for once more, elsewhere, and the late one is told to stop; both attempts are on record', async () => {
    const processes = await Promise.all([1, 2].map(() => spawnFake(QUICK)));
    const fleet = await serveUpstreams(
      processes.map(({ url }) => url),
      { model: { hedge: true } },
    );
    const asked = await warmUp(fleet, 120, false);
    expect(await fleet.metric('qianmen_hedges_total')).toBeLessThanOrEqual(asked / 20);
    const hung = processes[0]!;
    hung.child.kill('SIGSTOP');
    const lost = () => fleet.backend('b').hedges.won;
    const before = lost();
    while (lost() === before) {
      const { status, text, durationMs } = await fleet.ask({ stream: false });
      expect(status).toBe(200);
      expect(JSON.parse(text).choices[0].message.content).toContain('word0');
      expect(durationMs).toBeLessThan(5_000);
    }
    // The gateway has let go of it; the process learns of it when it wakes up.
    await eventually('nothing is held there', () => fleet.backend('a').health.inFlight === 0, 5_000);
    hung.child.kill('SIGCONT');
    const state = new URL('/__fake/state', hung.url);
    await eventually(
      'it has stopped',
      async () => ((await (await fetch(state)).json()) as { inFlight: number }).inFlight === 0,
      5_000,
    );
    const metrics = await (await fetch(`${fleet.url}/metrics`)).text();
    expect(metrics).toMatch(/qianmen_hedges_total\{model="m",backend="b",result="won"\} [1-9]/);
    expect(metrics).toMatch(/qianmen_backend_attempts_total\{backend="a",code="lost"\} [1-9]/);
    await fleet.idle();
  });
});
