import { describe, expect, it } from 'vitest';
import { roundRobin } from '../../routers/round-robin.ts';
import { LocalAdmission } from '../../src/admission/local-admission.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Deployment } from '../../src/core/deployment.ts';
import type { Part } from '../../src/core/part.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import { askOf } from './callers.ts';

const BODY_BYTES = 1_000;
const OUTPUT_TOKENS = 100;
const NANO_USD = { prompt: 1_000, output: 2_000 };
/** Text in which every byte is a token, and that is answered at full length. */
const DEAREST_NANO_USD = BODY_BYTES * NANO_USD.prompt + OUTPUT_TOKENS * NANO_USD.output;
/** What it looks like: four bytes a token, as most text has. */
const EXPECTED_NANO_USD = (BODY_BYTES / 4) * NANO_USD.prompt + OUTPUT_TOKENS * NANO_USD.output;

const usage = {
  ...{ promptTokens: BODY_BYTES, completionTokens: OUTPUT_TOKENS, cachedPromptTokens: 0, reasoningTokens: 0 },
};

async function* reply(): AsyncIterable<Part> {
  yield { type: 'text-delta', index: 0, text: 'word', tokens: OUTPUT_TOKENS };
  yield { type: 'finish', index: 0, reason: 'stop' };
  yield { type: 'usage', usage };
}

const backend: Backend = {
  ...{ name: 'b', kind: 'upstream', lacks: () => undefined, close: async () => {} },
  health: () => ({ state: 'ready', inFlight: 0, queued: 0 }),
  async run() {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return reply();
  },
};
const deployment: Deployment = {
  ...{ id: 'b/m', backend, model: 'm', region: undefined, privacy: 'local', contextTokens: undefined },
  price: { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 2 },
};
const request = {
  ...{ id: 'r', endpoint: 'chat', model: 'm', prompts: [{ kind: 'chat', messages: [] }], n: 1, stream: true },
  ...{ stop: { maxTokens: OUTPUT_TOKENS }, requirements: [] },
  wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.alloc(BODY_BYTES) },
} as unknown as GenerateRequest;

describe('a thousand requests at once that cost more than twice what they look like', () => {
  it.each([3, 10.5, 40])(
    'spend a budget of %f of them, and no more of it than one is dearer',
    async (times) => {
      const budget = Math.floor(times * DEAREST_NANO_USD);
      const admission = new LocalAdmission();
      const model = { name: 'm', deployments: [deployment], createdAtS: 0 };
      const gateway = new Gateway({
        routes: new Map([['m', { model, policy: roundRobin() }]]),
        ...{ emit: () => {}, maxRetries: 0, admission },
      });
      const { caller } = askOf({ project: { nanoUsdPerDay: budget } });
      const ask = () =>
        gateway
          .handle(
            request,
            new AbortController().signal,
            async (begun) => {
              if (begun.kind === 'parts') for await (const _ of begun.parts);
            },
            { caller },
          )
          .then(
            () => 'served',
            ({ code }: { code: string }) => code,
          );
      const first = await Promise.all(Array.from({ length: 1_000 }, ask));
      expect(first.filter((one) => one === 'served').length).toBeGreaterThanOrEqual(Math.floor(times));
      expect(new Set(first)).toEqual(new Set(['served', 'rate_limit_exceeded']));
      // Until nobody gets any more of it.
      let last: string;
      do last = await ask();
      while (last === 'served');
      expect(last).toBe('insufficient_quota');
      const spent = admission.inUse('project', caller.projectId)!.day;
      expect(spent).toBeGreaterThan(budget - DEAREST_NANO_USD);
      expect(spent).toBeLessThanOrEqual(budget + DEAREST_NANO_USD - EXPECTED_NANO_USD);
    },
  );
});
