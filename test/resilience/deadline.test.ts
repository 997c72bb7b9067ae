import { describe, expect, it } from 'vitest';
import { eventually, serveFleet } from './fleet.ts';

const within = (ms: number) => ({ headers: { 'x-qianmen-timeout-ms': String(ms) } });

describe('a time limit', () => {
  it.each([true, false])(
    'ends in 504 before the first byte, and the work with it (stream: %s)',
    async (stream) => {
      const fleet = await serveFleet([{}, {}]);
      // The first request of all takes long where the machine is busy.
      await fleet.ask({ stream });
      for (const fake of fleet.fakes) fake.setBehaviour({ ttftMs: 20_000 });
      const answer = await fleet.ask({ stream, ...within(1_000) });
      expect(answer.status).toBe(504);
      expect(JSON.parse(answer.text)).toMatchObject({
        error: { code: 'deadline_exceeded', type: 'server_error' },
      });
      await eventually(
        'the upstream has stopped',
        () => fleet.fakes.every((fake) => fake.inFlight() === 0),
        5_000,
      );
      expect(fleet.fakes.reduce((sum, fake) => sum + fake.requests.length, 0)).toBe(2);
      for (const name of ['a', 'b']) expect(fleet.backend(name).health.state).toBe('ready');
      await fleet.idle();
    },
  );

  it('ends in an error event after it, without [DONE]', async () => {
    const fleet = await serveFleet([{ itlMs: 20, tokens: 1_000 }]);
    const answer = await fleet.ask(within(2_000));
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('word1');
    const events = answer.text.trimEnd().split('\n\n');
    expect(events.at(-1)).toContain('"deadline_exceeded"');
    expect(answer.text).not.toContain('[DONE]');
    await fleet.idle();
  });

  it('comes from the configuration if the client brings none', async () => {
    const fleet = await serveFleet([{ ttftMs: 20_000 }], { limits: { requestTimeoutMs: 150 } });
    expect((await fleet.ask()).status).toBe(504);
    fleet.fakes[0]?.setBehaviour({ ttftMs: 300 });
    expect((await fleet.ask(within(5_000))).status).toBe(200);
  });

  it('ends waiting in line, and leaves breakers alone however often', async () => {
    const fleet = await serveFleet([{ ttftMs: 20_000 }], {
      upstream: { concurrency: { initial: 1, max: 1 } },
    });
    const first = fleet.ask(within(3_000));
    await eventually('it is full', () => fleet.backend('a').inFlight === 1);
    const answers = await Promise.all(Array.from({ length: 8 }, () => fleet.ask(within(200))));
    expect(answers.map(({ status }) => status)).toEqual(new Array(8).fill(504));
    expect((await first).status).toBe(504);
    expect(fleet.fakes[0]?.requests).toHaveLength(1);
    expect(fleet.backend('a').health.state).toBe('ready');
    await fleet.idle();
  });

  it('leaves no retry beyond it', async () => {
    const fleet = await serveFleet([{ headerDelayMs: 20_000 }, { headerDelayMs: 20_000 }], {
      upstream: { timeouts: { firstByteMs: 150 } },
    });
    const { status, durationMs } = await fleet.ask(within(200));
    expect(status).toBe(504);
    expect(durationMs).toBeGreaterThan(190);
    await eventually('nobody works', () => fleet.fakes.every((fake) => fake.inFlight() === 0), 5_000);
  });

  it.each(['0', '-1', '1.5', 'soon', '3600001', '99999999999'])('of %s is refused', async (text) => {
    const fleet = await serveFleet([{}]);
    const { status, text: body } = await fleet.ask({ headers: { 'x-qianmen-timeout-ms': text } });
    expect(status).toBe(400);
    expect(JSON.parse(body).error).toMatchObject({ code: 'invalid_value', param: 'x-qianmen-timeout-ms' });
    expect(fleet.fakes[0]?.requests).toHaveLength(0);
  });
});
