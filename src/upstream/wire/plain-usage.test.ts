import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { skimObject } from '../../core/skim.ts';
import { plainUsage } from './plain-usage.ts';
import { usageOf } from './usage.ts';

function read(json: string) {
  const text = Buffer.from(`{"id":"x","usage":${json},"model":"m"}`);
  return plainUsage(text, skimObject(text)!.members[1]!);
}

describe('a plain usage', () => {
  it('is the one that a parser reads, wherever it is taken for plain', () => {
    const value = fc.oneof(
      fc.nat(),
      fc.double(),
      fc.constantFrom<unknown>(null, '5', -1, 1e20, 0.5, {}, { cached_tokens: 3 }),
    );
    const name = fc.constantFrom(
      ...['prompt_tokens', 'completion_tokens', 'total_tokens', 'prompt_tokens_details'],
      ...['completion_tokens_details', 'cached_tokens', 'prompt_cache_hit_tokens'],
    );
    const usage = fc.uniqueArray(fc.tuple(name, value), { selector: ([name]) => name });
    const space = fc.constantFrom(undefined, 1);
    fc.assert(
      fc.property(usage, space, (entries, space) => {
        const json = JSON.stringify(Object.fromEntries(entries), undefined, space);
        const plain = read(json);
        if (plain !== undefined) expect(plain).toEqual(usageOf({ usage: JSON.parse(json) }));
      }),
    );
  });

  it('is what nearly all servers send', () => {
    expect(
      read('{"prompt_tokens": 200,"total_tokens":350,"completion_tokens":150,"prompt_tokens_details":null}'),
    ).toEqual({ promptTokens: 200, completionTokens: 150, cachedPromptTokens: 0, reasoningTokens: 0 });
  });

  it.each([
    '{}',
    '[]',
    'null',
    '{"prompt_tokens":5}',
    '{"prompt_tokens":"5","completion_tokens":3}',
    '{"prompt_tokens":5,"completion_tokens":1e3}',
    '{"prompt_tokens":05,"completion_tokens":3}',
    '{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":3}}',
    '{"prompt_tokens":5,"completion_tokens":3,"total_tokens":9}',
    '{"prompt_tokens":5,"completion_tokens":3,"cached_tokens":4}',
    '{"prompt_tokens":5,"completion_tokens":3,"prompt_token\\u0073":7}',
  ])('is not %s', (json) => {
    expect(read(json)).toBeUndefined();
  });
});
