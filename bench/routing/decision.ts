/**
 * What one decision costs: hashing a prompt of 20 KB and ranking 64 deployments, the memory of prompts full of others'
 * conversations; and the memory that a million blocks take. Prints; asserts nothing, since machines differ.
 *
 *   node --expose-gc bench/routing/decision.ts
 */
import { decide } from '../../routers/decide.ts';
import { POLICIES } from '../../routers/policies.ts';
import { DEFAULT_SETTINGS } from '../../routers/policy.ts';
import { hashPrompt } from '../../routers/prompt-hash.ts';
import { UNKNOWN_REQUEST } from '../../routers/request.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import { seededRandom } from '../../src/simulation/random.ts';

const DEPLOYMENTS = 64;
const PROMPT_BYTES = 20_480;
const ROUNDS = 4_000;

const random = seededRandom(1);
const candidates = Array.from({ length: DEPLOYMENTS }, (_, i) => ({
  id: `deployment-${i}`,
  ready: true,
  inFlight: i % 7,
  capabilities: new Set(['tools']),
  contextTokens: 131_072,
  privacy: 'private' as const,
  price: { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 0.1, outputUsdPerMTok: 4 },
}));
// Half of each prompt is what all begin with.
const shared = 'You are a helpful assistant. '.repeat(1_000).slice(0, PROMPT_BYTES / 2);
const prompts = Array.from({ length: 256 }, (_, i) =>
  `${shared}${`${i} words `.repeat(2_000)}`.slice(0, PROMPT_BYTES),
);
const ask = (text: string) => ({
  ...UNKNOWN_REQUEST,
  promptTokens: PROMPT_BYTES / 4,
  blocks: hashPrompt('model\0tenant', text),
  blockTokens: 128,
  needs: ['tools'],
  constraints: { privacy: 'private' as const },
});

const knowledge = new RoutingKnowledge();
for (let i = 0; i < DEPLOYMENTS * 200; i += 1) {
  const dispatch = knowledge.dispatch(`deployment-${i % DEPLOYMENTS}`, ask(prompts[i % prompts.length]!), i);
  dispatch.firstToken(i + 100);
  if (i % 50 !== 0) dispatch.finished(i + 1_000, { promptTokens: 5_120, outputTokens: 100 });
}
for (const [name, make] of Object.entries(POLICIES)) {
  const policy = make({ knowledge, settings: DEFAULT_SETTINGS });
  const once = (i: number) =>
    decide(policy, { request: ask(prompts[i % prompts.length]!), candidates, nowMs: 20_000 + i, random });
  for (let i = 0; i < ROUNDS; i += 1) once(i);
  const started = process.cpuUsage();
  for (let i = 0; i < ROUNDS; i += 1) once(i);
  const { user, system } = process.cpuUsage(started);
  console.log(`${name.padEnd(20)} ${((user + system) / ROUNDS).toFixed(1)} µs`);
}

const gc = (globalThis as { gc?: () => void }).gc;
gc?.();
const before = process.memoryUsage();
const full = new RoutingKnowledge();
for (let i = 0; full.prefixes.size < 990_000; i += 1)
  full.prefixes.touch(`deployment-${i % DEPLOYMENTS}`, hashPrompt(`${i}`, shared));
gc?.();
const after = process.memoryUsage();
const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
console.log(`${full.prefixes.size} blocks take ${(bytes / 2 ** 20).toFixed(0)} MiB`);
