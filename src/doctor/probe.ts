import type { GenerateRequest } from '../core/request.ts';
import type { LocalEncoder } from '../encoder/local-encoder-options.ts';
import type { EngineBackend } from '../engine/engine-backend.ts';

/** What a generator was measured to do, in tokens per second. */
export interface GeneratorSpeed {
  /** Reading a prompt. */
  readonly prefill: number;
  /** One reply by itself, and several together. */
  readonly decode: number;
  readonly decodeTogether: number;
  readonly together: number;
}

const WARM_UP_MS = 200;
const DECODE_MS = 400;
const MOST_TOGETHER = 8;
const PROMPT_TOKENS = 128;
const TEXTS_TOGETHER = 16;
const ENCODE_MS = 700;

/** About a second of work after loading. */
export async function probeGenerator(engine: EngineBackend): Promise<GeneratorSpeed> {
  const info = engine.info();
  const contextTokens = info?.contextTokens ?? PROMPT_TOKENS;
  const together = Math.min(info?.slots ?? 1, MOST_TOGETHER);
  const promptTokens = Math.max(2, Math.min(PROMPT_TOKENS, Math.floor(contextTokens / 4)));
  const measure = (length: number, choices: number, seed: number, forMs: number) =>
    decode(engine, tokens(length, info?.vocabularySize, seed), choices, forMs);
  // The first steps of a kind are slower than those that follow.
  await measure(promptTokens, together, 1, WARM_UP_MS);
  const alone = await measure(promptTokens, 1, 2, DECODE_MS);
  const several = await measure(8, together, 3, DECODE_MS);
  return {
    prefill: Math.round((promptTokens * 1000) / alone.firstTokenMs),
    decode: Math.round(alone.tokensPerS),
    decodeTogether: Math.round(several.tokensPerS),
    together,
  };
}

/** Texts of about fifteen tokens per second. */
export async function probeEncoder(encoder: LocalEncoder): Promise<number> {
  const endAtMs = performance.now() + ENCODE_MS;
  const startedAtMs = performance.now();
  let texts = 0;
  for (let round = 0; round === 0 || performance.now() < endAtMs; round++) {
    await encode(encoder, round);
    texts += TEXTS_TOGETHER;
  }
  return Math.round((texts * 1000) / (performance.now() - startedAtMs));
}

/** Ids that no two prompts begin with, so that nothing of them is remembered. */
function tokens(count: number, vocabularySize = 256, seed: number): number[] {
  const first = Math.floor(vocabularySize / 4);
  return Array.from(
    { length: count },
    (_, i) => first + ((seed * 31 + i * 7) % Math.floor(vocabularySize / 2)),
  );
}

async function decode(engine: EngineBackend, prompt: readonly number[], choices: number, forMs: number) {
  const enough = new AbortController();
  const startedAtMs = performance.now();
  const parts = await engine.run(generateRequest(prompt, choices), {
    model: engine.name,
    signal: enough.signal,
  });
  let firstAtMs: number | undefined;
  let lastAtMs = startedAtMs;
  let decoded = 0;
  for await (const part of parts) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'finish') break;
    if (part.type !== 'text-delta') continue;
    lastAtMs = performance.now();
    if (firstAtMs !== undefined) decoded += part.tokens;
    firstAtMs ??= lastAtMs;
    if (lastAtMs - firstAtMs > forMs) break;
  }
  // What the loop left, the engine has dropped: the next measurement has it to itself.
  enough.abort();
  while (engine.health().inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const ms = Math.max(1, lastAtMs - (firstAtMs ?? startedAtMs));
  return { firstTokenMs: (firstAtMs ?? lastAtMs) - startedAtMs, tokensPerS: (decoded * 1000) / ms };
}

const WIRE = { dialect: 'openai', path: '', body: Buffer.alloc(0) } as const;

function generateRequest(prompt: readonly number[], n: number): GenerateRequest {
  return {
    id: 'probe',
    endpoint: 'completion',
    model: 'probe',
    prompts: [{ kind: 'tokens', tokens: prompt }],
    n,
    sampling: {
      // Text that does not repeat itself, as replies do not: what is guessed ahead of a greedy one would count as speed.
      temperature: 2,
      topP: undefined,
      topK: undefined,
      minP: undefined,
      typicalP: undefined,
      repetitionPenalty: undefined,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: new Map(),
      seed: 1,
    },
    stop: {
      maxTokens: undefined,
      minTokens: 0,
      strings: [],
      tokenIds: [],
      ignoreEos: true,
      includeStopString: false,
    },
    tools: [],
    toolChoice: 'none',
    parallelToolCalls: false,
    structure: undefined,
    templateVariables: {},
    topLogprobs: undefined,
    echo: false,
    stream: true,
    includeUsage: false,
    requirements: [],
    wire: WIRE,
  };
}

async function encode(encoder: LocalEncoder, round: number): Promise<void> {
  const texts = Array.from(
    { length: TEXTS_TOGETHER },
    (_, i) => `A small text, number ${round}.${i}, of the length that a question has.`,
  );
  const head = { id: 'probe', model: encoder.name, wire: WIRE };
  const options = { signal: new AbortController().signal };
  const task = encoder.task ?? 'embed';
  if (task === 'rerank')
    await encoder.rerank(
      { ...head, endpoint: 'rerank', query: 'What is it?', documents: texts, truncateTokens: undefined },
      options,
    );
  else if (task === 'classify')
    await encoder.classify(
      { ...head, endpoint: 'classify', inputs: texts, truncateTokens: undefined },
      options,
    );
  else
    await encoder.embed(
      { ...head, endpoint: 'embeddings', inputs: texts, dimensions: undefined, truncateTokens: undefined },
      options,
    );
}
