import { describe, expect, it } from 'vitest';
import type { Backend } from '../core/backend.ts';
import type { Usage } from '../core/usage.ts';
import { Settlement } from './settlement.ts';

const BACKEND: Backend = {
  name: 'b',
  kind: 'engine',
  run: () => Promise.reject(new Error('never run')),
  lacks: () => undefined,
  health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
  close: async () => {},
};

/** A whole reply of 40 content events, and what its server says of it. */
function settled(told: Partial<Usage>, onlyReads = false, replyBytes = 0) {
  const bounds = { promptTokens: 1_000, completionTokens: 100 };
  const request = { id: 'r', endpoint: 'chat', stream: true, bounds, onlyReads };
  const settlement = new Settlement('s', request, undefined, () => 0);
  settlement.attempt(
    {
      id: 'd',
      backend: BACKEND,
      model: 'm',
      region: undefined,
      privacy: 'local',
      price: undefined,
      contextTokens: undefined,
    },
    { kind: 'first', code: undefined, lost: false, durationMs: 1 },
  );
  settlement.observation.contentEvents = 40;
  settlement.observation.replyBytes = replyBytes;
  settlement.observation.usage = {
    promptTokens: 0,
    completionTokens: 0,
    cachedPromptTokens: 0,
    reasoningTokens: 0,
    ...told,
  };
  const { usage, usageMeasured } = settlement.settle();
  return { ...usage, usageMeasured };
}

describe('what a server says that a reply took', () => {
  it('is taken where both halves of it are there', () => {
    const told = { promptTokens: 10, completionTokens: 50, cachedPromptTokens: 4 };
    expect(settled(told)).toMatchObject({ ...told, usageMeasured: true });
  });

  it('is filled up with what was counted where one half is missing', () => {
    expect(settled({ promptTokens: 10, cachedPromptTokens: 4 })).toMatchObject({
      promptTokens: 10,
      completionTokens: 40,
      cachedPromptTokens: 4,
      usageMeasured: false,
    });
    expect(settled({ completionTokens: 50 })).toMatchObject({ completionTokens: 50, usageMeasured: false });
  });

  it('is replaced by what was counted where it cannot be true', () => {
    expect(settled({ promptTokens: 10, completionTokens: 101 })).toMatchObject({
      completionTokens: 40,
      usageMeasured: false,
    });
  });

  it('is taken beyond what was asked for where as many bytes came; of a text that is only read never', () => {
    const told = { promptTokens: 10, completionTokens: 20_000 };
    expect(settled(told, false, 40_000)).toMatchObject({ completionTokens: 20_000, usageMeasured: true });
    expect(settled(told, true, 40_000)).toMatchObject({ usageMeasured: false });
  });

  it('need not have tokens of a reply where none was asked for', () => {
    expect(settled({ promptTokens: 10 }, true)).toMatchObject({ completionTokens: 0, usageMeasured: true });
  });
});

it('has a number that no other request of the process has', () => {
  const made = ['a', 'b'].map(
    (id) => new Settlement(id, { id, endpoint: 'chat', stream: true }, undefined, () => 0),
  );
  const [one, other] = made.map((settlement) => settlement.settle().serial);
  expect(other).not.toBe(one);
});
