import { describe, expect, it } from 'vitest';
import { balanced } from './balanced.ts';
import type { Candidate } from './candidate.ts';
import { DEFAULT_SETTINGS } from './policy.ts';
import { hashPrompt } from './prompt-hash.ts';
import { type RequestFeatures, UNKNOWN_REQUEST } from './request.ts';
import { RoutingKnowledge } from './routing-knowledge.ts';

const settings = { ...DEFAULT_SETTINGS, exploration: 0 };
const candidate = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  ready: true,
  inFlight: 0,
  ...more,
});
const prompt = (text: string, more: Partial<RequestFeatures> = {}): RequestFeatures => ({
  ...UNKNOWN_REQUEST,
  promptTokens: text.length / 4,
  blocks: hashPrompt('model', text),
  blockTokens: 128,
  ...more,
});
const cheap = { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0.1, outputUsdPerMTok: 2 };
const dear = { inputUsdPerMTok: 10, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 20 };

function gateway(knowledge = new RoutingKnowledge()) {
  const policy = balanced({ knowledge, settings });
  const inFlight = new Map<string, number>();
  const rank = (request: RequestFeatures, candidates: readonly Candidate[], nowMs = 0, chance = 0.5) =>
    policy.rank({ request, candidates, nowMs, random: () => chance });
  /** Chooses and dispatches, as a gateway does. */
  const send = (request: RequestFeatures, ids: readonly string[], nowMs = 0) => {
    const candidates = ids.map((id) => candidate(id, { inFlight: inFlight.get(id) ?? 0 }));
    const id = rank(request, candidates, nowMs)[0]!.candidate.id;
    inFlight.set(id, (inFlight.get(id) ?? 0) + 1);
    return { id, dispatch: knowledge.dispatch(id, request, nowMs, policy) };
  };
  return { knowledge, rank, send };
}

/** Makes one known to take so long per prompt token. */
function teach(knowledge: RoutingKnowledge, id: string, msPerToken: number): void {
  for (let i = 0; i < 100; i += 1) {
    const promptTokens = 500 + 40 * i;
    const startMs = -1e7 + i * 1e5;
    const dispatch = knowledge.dispatch(id, { ...UNKNOWN_REQUEST, promptTokens }, startMs);
    const firstMs = startMs + 10 + msPerToken * promptTokens;
    dispatch.firstToken(firstMs);
    dispatch.finished(firstMs + 990, { promptTokens, cachedTokens: 0, outputTokens: 100 });
  }
}

describe('load', () => {
  it('spreads a burst that comes before any answer', () => {
    const { send } = gateway();
    const counts = new Map<string, number>();
    for (let i = 0; i < 80; i += 1) {
      const { id } = send(prompt(`${i}`.padEnd(8_000, 'x')), ['a', 'b', 'c', 'd']);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(count).toBeLessThanOrEqual(24);
    expect(counts.size).toBe(4);
  });

  it('goes where a prompt is remembered, until the queue there costs more than that saves', () => {
    const { send } = gateway();
    const text = 'x'.repeat(80_000);
    const first = send(prompt(text), ['a', 'b']);
    first.dispatch.firstToken(500);
    first.dispatch.finished(600, { promptTokens: 20_000, cachedTokens: 0, outputTokens: 10 });
    expect(send(prompt(text), ['a', 'b'], 1_000).id).toBe(first.id);
    for (let i = 0; i < 40; i += 1) send(prompt(`${i}`.padEnd(80_000, 'y')), [first.id], 1_000);
    expect(send(prompt(text), ['a', 'b'], 1_000).id).not.toBe(first.id);
  });

  it('is not pinned to one deployment by a beginning that all requests share', () => {
    const { send } = gateway();
    const counts = new Map<string, number>();
    let nowMs = 0;
    for (let i = 0; i < 400; i += 1) {
      const text = 'system prompt '.repeat(300) + `${i} `.repeat(2_000);
      const { id, dispatch } = send(prompt(text), ['a', 'b', 'c', 'd'], nowMs);
      counts.set(id, (counts.get(id) ?? 0) + 1);
      nowMs += 30;
      dispatch.firstToken(nowMs);
    }
    for (const id of ['a', 'b', 'c', 'd']) expect(counts.get(id)).toBeGreaterThan(50);
  });

  it('leaves one alone that has hung, though it says that it is ready', () => {
    const { send } = gateway();
    const hung = send(prompt('x'.repeat(400)), ['a', 'b']);
    for (let i = 0; i < 20; i += 1) {
      const { id, dispatch } = send(prompt('y'.repeat(400)), ['a', 'b'], 10_000 + i * 100);
      expect(id).not.toBe(hung.id);
      dispatch.firstToken(10_050 + i * 100);
      dispatch.finished(10_090 + i * 100, { outputTokens: 2 });
    }
  });
});

describe('cost and quality', () => {
  it('takes the cheapest of those that will meet the aim, though another is sooner', () => {
    const { knowledge, rank } = gateway();
    teach(knowledge, 'cheap', 0.4);
    teach(knowledge, 'dear', 0.02);
    const candidates = [candidate('cheap', { price: cheap }), candidate('dear', { price: dear })];
    expect(rank(prompt('x'.repeat(8_000)), candidates)[0]!.candidate.id).toBe('cheap');
  });

  it('pays when the cheapest would be late', () => {
    const { knowledge, rank } = gateway();
    teach(knowledge, 'cheap', 4);
    teach(knowledge, 'dear', 0.02);
    const candidates = [candidate('cheap', { price: cheap }), candidate('dear', { price: dear })];
    expect(rank(prompt('x'.repeat(8_000)), candidates)[0]!.candidate.id).toBe('dear');
  });

  it('hurries for a request that wants it, and does not let one wait longer than the model allows', () => {
    const { knowledge, rank } = gateway();
    teach(knowledge, 'cheap', 0.4);
    teach(knowledge, 'late', 4);
    teach(knowledge, 'dear', 0.02);
    const asked = (sloTtftMs: number, other: string) =>
      rank(prompt('x'.repeat(8_000), { sloTtftMs }), [
        candidate(other, { price: cheap }),
        candidate('dear', { price: dear }),
      ])[0]!.candidate.id;
    expect(asked(2_000, 'cheap')).toBe('cheap');
    expect(asked(100, 'cheap')).toBe('dear');
    expect(asked(60_000, 'late')).toBe('dear');
  });

  it('prefers quality where cost is equal', () => {
    const { rank } = gateway();
    const candidates = [candidate('poor', { quality: 0.2 }), candidate('good', { quality: 0.9 })];
    expect(rank(prompt('x'.repeat(400)), candidates)[0]!.candidate.id).toBe('good');
  });

  it('tells what it expects of every candidate', () => {
    const { rank } = gateway();
    const [only] = rank(prompt('x'.repeat(4_000), { expectedOutputTokens: 100 }), [
      candidate('a', { price: cheap }),
    ]);
    expect(only!.prediction!.costUsd).toBeCloseTo((1_000 * 1 + 100 * 2) / 1e6);
    expect(only!.prediction!.ttftMs).toBeGreaterThan(0);
    expect(Object.keys(only!.parts)).toEqual(['latency', 'disturbed', 'output', 'cost', 'quality']);
  });
});

describe('exploration', () => {
  it('stays within the privacy class of the choice, and off what is full or down', () => {
    const knowledge = new RoutingKnowledge();
    const policy = balanced({ knowledge, settings: { ...settings, exploration: 1 } });
    teach(knowledge, 'local-fast', 0.01);
    teach(knowledge, 'local-slow', 1);
    const candidates = [
      candidate('local-fast', { privacy: 'local' }),
      candidate('local-slow', { privacy: 'local' }),
      candidate('cloud', { privacy: 'public', price: dear }),
      candidate('local-full', { privacy: 'local', capacity: 1, inFlight: 1 }),
      candidate('local-down', { privacy: 'local', ready: false }),
    ];
    const firsts = new Set(
      Array.from({ length: 100 }, (_, i) => {
        const random = () => i / 100;
        return policy.rank({ request: prompt('x'.repeat(400)), candidates, nowMs: 0, random })[0]!.candidate
          .id;
      }),
    );
    expect(firsts).toEqual(new Set(['local-fast', 'local-slow']));
  });
});
