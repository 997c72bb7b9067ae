import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Forecast } from './forecast.ts';
import type { Dispatch } from './lifecycle.ts';
import { hashPrompt } from './prompt-hash.ts';
import { type RequestFeatures, UNKNOWN_REQUEST } from './request.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';

const request = (promptTokens: number, more: Partial<RequestFeatures> = {}): RequestFeatures => ({
  ...UNKNOWN_REQUEST,
  promptTokens,
  ...more,
});

it('has nothing under way after every request has come to an end, however often it is told', () => {
  const step = fc.record({
    deployment: fc.constantFrom('a', 'b'),
    promptTokens: fc.nat(10_000),
    stream: fc.boolean(),
    calls: fc.array(fc.constantFrom('firstToken', 'finished', 'failed', 'cancelled'), { maxLength: 5 }),
    lastly: fc.constantFrom('finished', 'failed', 'cancelled'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const knowledge = new RoutingKnowledge();
      let nowMs = 0;
      const call = (dispatch: Dispatch, name: (typeof steps)[number]['calls'][number]) => {
        nowMs += 10;
        if (name === 'finished') dispatch.finished(nowMs, { outputTokens: 5 });
        else dispatch[name](nowMs);
      };
      const open = steps.map(({ deployment, promptTokens, stream, calls, lastly }) => {
        const dispatch = knowledge.dispatch(deployment, request(promptTokens, { stream }), nowMs);
        for (const name of calls) call(dispatch, name);
        knowledge.forecast(deployment, request(100), nowMs);
        return () => call(dispatch, lastly);
      });
      for (const end of open) end();
      for (const id of ['a', 'b']) {
        const state = knowledge.state(id);
        expect([state.waiting, state.decoding, state.kvTokens]).toEqual([0, 0, 0]);
        expect(state.workAhead(nowMs)).toEqual({ tokens: 0, pairs: 0 });
      }
    }),
  );
});

describe('what is expected of a deployment', () => {
  it('counts a request from the moment it is sent, before any answer', () => {
    const knowledge = new RoutingKnowledge();
    const before = knowledge.forecast('a', request(1_000), 0).ttftMs;
    knowledge.dispatch('a', request(50_000), 0);
    expect(knowledge.forecast('a', request(1_000), 0).ttftMs).toBeGreaterThan(before + 500);
    expect(knowledge.forecast('b', request(1_000), 0).ttftMs).toBe(before);
  });

  it('takes off what the request at the head has had done already', () => {
    const knowledge = new RoutingKnowledge();
    knowledge.dispatch('a', request(20_000), 0);
    const { queuedMs } = knowledge.forecast('a', request(100), 0);
    expect(knowledge.forecast('a', request(100), queuedMs / 2).queuedMs).toBeCloseTo(queuedMs / 2, -1);
  });

  it('is never sooner than the longest wait there: it may have hung', () => {
    const knowledge = new RoutingKnowledge();
    knowledge.dispatch('a', request(100), 0);
    expect(knowledge.forecast('a', request(10), 30_000).ttftMs).toBeGreaterThanOrEqual(30_000);
  });

  it('takes a reply that comes as a whole to be decoding once its prompt must have been read', () => {
    const knowledge = new RoutingKnowledge();
    knowledge.dispatch('a', request(20_000, { stream: false }), 0);
    const { ttftMs } = knowledge.forecast('a', request(100), 60_000);
    expect(ttftMs).toBeLessThan(1_000);
    expect(knowledge.state('a').decoding).toBe(1);
  });

  it('knows what is remembered of a prompt', () => {
    const knowledge = new RoutingKnowledge();
    const blocks = hashPrompt('model', 'x'.repeat(8_192));
    const prompt = request(2_048, { blocks, blockTokens: 128 });
    knowledge.dispatch('a', prompt, 0).finished(1, {});
    expect(knowledge.forecast('a', prompt, 2).cachedTokens).toBe(2_047);
    expect(knowledge.forecast('b', prompt, 2).cachedTokens).toBe(0);
    knowledge.restarted('a');
    expect(knowledge.forecast('a', prompt, 2).cachedTokens).toBe(0);
  });

  it('comes to know how fast each is from replies that come as a whole', () => {
    const knowledge = new RoutingKnowledge();
    let nowMs = 0;
    for (let i = 0; i < 200; i += 1) {
      const promptTokens = 500 + ((i * 997) % 5_000);
      const outputTokens = 10 + ((i * 37) % 300);
      for (const [id, times] of [['fast', 1] as const, ['slow', 10] as const]) {
        const whole = request(promptTokens, { stream: false });
        const tookMs = times * (20 + 0.1 * promptTokens + 12 * outputTokens);
        knowledge
          .dispatch(id, whole, nowMs)
          .finished(nowMs + tookMs, { promptTokens, cachedTokens: 0, outputTokens });
      }
      nowMs += 100_000;
    }
    const [fast, slow] = ['fast', 'slow'].map((id) => knowledge.forecast(id, request(3_000), nowMs));
    const totalMs = ({ ttftMs, tpotMs }: Forecast) => ttftMs + 199 * tpotMs;
    expect(totalMs(fast!)).toBeGreaterThan(0.7 * 2_720);
    expect(totalMs(fast!)).toBeLessThan(1.3 * 2_720);
    expect(totalMs(slow!) / totalMs(fast!)).toBeGreaterThan(7);
  });

  it('comes to know how fast each is', () => {
    const knowledge = new RoutingKnowledge();
    let nowMs = 0;
    for (let i = 0; i < 200; i += 1) {
      const promptTokens = 500 + ((i * 997) % 5_000);
      for (const [id, msPerToken] of [['fast', 0.05] as const, ['slow', 2] as const]) {
        const dispatch = knowledge.dispatch(id, request(promptTokens), nowMs);
        const firstMs = nowMs + 20 + msPerToken * promptTokens;
        dispatch.firstToken(firstMs);
        dispatch.finished(firstMs + 99 * 10, { promptTokens, cachedTokens: 0, outputTokens: 100 });
      }
      nowMs += 20_000;
    }
    const fast = knowledge.forecast('fast', request(3_000), nowMs);
    const slow = knowledge.forecast('slow', request(3_000), nowMs);
    expect(fast.ttftMs).toBeGreaterThan(0.8 * 170);
    expect(fast.ttftMs).toBeLessThan(1.2 * 170);
    expect(slow.ttftMs).toBeGreaterThan(0.8 * 6_020);
    expect(slow.ttftMs).toBeLessThan(1.2 * 6_020);
    expect(fast.tpotMs).toBeCloseTo(10, 0);
  });
});

it.each([true, false])('choices are drawn side by side, in the time of one (stream: %s)', (stream) => {
  const learnt = [1, 4].map((choices) => {
    const knowledge = new RoutingKnowledge();
    for (let nowMs = 0; nowMs < 100_000; nowMs += 2_500) {
      const dispatch = knowledge.dispatch('a', request(1_000, { stream, choices }), nowMs);
      if (stream) dispatch.firstToken(nowMs + 400);
      dispatch.finished(nowMs + 400 + 99 * 20, { promptTokens: 1_000, outputTokens: 100 * choices });
    }
    return knowledge.forecast('a', request(1_000), 100_000).tpotMs;
  });
  expect(learnt[0]).toBeGreaterThan(15);
  expect(learnt[1]).toBeCloseTo(learnt[0]!);
});

describe('what deployments say of themselves', () => {
  it('adds the requests of others, for a while', () => {
    const knowledge = new RoutingKnowledge();
    const alone = knowledge.forecast('a', request(1_000), 0).queuedMs;
    knowledge.scraped('a', { waiting: 10, running: 5 }, 0);
    const soon = knowledge.forecast('a', request(1_000), 100).queuedMs;
    expect(soon).toBeGreaterThan(alone + 100);
    expect(knowledge.forecast('a', request(1_000), 5_000).queuedMs).toBeLessThan(soon / 2);
    expect(knowledge.forecast('a', request(1_000), 60_000).queuedMs).toBe(alone);
  });

  it('adds nothing where all that waits is our own', () => {
    const knowledge = new RoutingKnowledge();
    for (let i = 0; i < 10; i += 1) knowledge.dispatch('a', request(1_000), 0);
    const own = knowledge.forecast('a', request(1_000), 0).queuedMs;
    knowledge.scraped('a', { waiting: 7, running: 3 }, 0);
    expect(knowledge.forecast('a', request(1_000), 0).queuedMs).toBe(own);
  });

  /** Every other time others are said to wait there, and first tokens come later by `othersMs`. @returns What is expected the next time. */
  function afterHearing(othersMs: number): number {
    const knowledge = new RoutingKnowledge();
    let nowMs = 0;
    for (let i = 0; i < 60; i += 1) {
      const busy = i % 2;
      knowledge.scraped('a', { waiting: 20 * busy, running: 0 }, nowMs);
      const dispatch = knowledge.dispatch('a', request(1_000), nowMs);
      nowMs += 55 + othersMs * busy;
      dispatch.firstToken(nowMs);
      dispatch.finished(nowMs + 100, { promptTokens: 1_000, cachedTokens: 0, outputTokens: 2 });
      nowMs += 1_000;
    }
    knowledge.scraped('a', { waiting: 20, running: 0 }, nowMs);
    return knowledge.forecast('a', request(1_000), nowMs).ttftMs;
  }

  it('is believed less where first tokens come as if it were not so, and no less where they do not', () => {
    expect(afterHearing(0)).toBeLessThan(150);
    expect(afterHearing(1_000)).toBeGreaterThan(700);
  });

  it('can take nothing away, and lies are bounded', () => {
    const knowledge = new RoutingKnowledge();
    knowledge.dispatch('a', request(1_000), 0);
    const own = knowledge.forecast('a', request(1_000), 0).queuedMs;
    knowledge.scraped('a', { waiting: 0, running: 0 }, 0);
    expect(knowledge.forecast('a', request(1_000), 0).queuedMs).toBe(own);
    knowledge.scraped('a', { waiting: 1e12, running: Number.NaN }, 0);
    expect(Number.isFinite(knowledge.forecast('a', request(1_000), 0).ttftMs)).toBe(true);
  });
});

it('learns the length of replies by tenant', () => {
  const knowledge = new RoutingKnowledge();
  for (let i = 0; i < 200; i += 1) {
    knowledge.dispatch('a', request(10, { tenant: 'brief' }), i).finished(i, { outputTokens: 20 });
    knowledge.dispatch('a', request(10, { tenant: 'long' }), i).finished(i, { outputTokens: 2_000 });
  }
  expect(knowledge.outputs.expect('brief', undefined)).toBeLessThan(40);
  expect(knowledge.outputs.expect('long', undefined)).toBeGreaterThan(1_000);
  expect(knowledge.outputs.expect('long', 100)).toBe(100);
});

it('forgets deployments that are gone', () => {
  const knowledge = new RoutingKnowledge();
  const blocks = hashPrompt('model', 'x'.repeat(8_192));
  const prompt = request(2_048, { blocks, blockTokens: 128 });
  knowledge.dispatch('gone', prompt, 0).finished(1, {});
  knowledge.retain(new Set(['here']));
  expect(knowledge.prefixes.size).toBe(0);
});
