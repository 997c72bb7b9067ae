/**
 * One reply at a time with and without speculation, in turns, on text that repeats itself and on text that does not.
 *
 *   node bench/engine/speculation.ts [--rounds 3] [--model FILE.gguf] [--threads 2]
 *
 * Every reply is held to be the same with and without, greedy and seeded.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { EngineStepped } from '../../src/core/event.ts';
import type { GenerateRequest } from '../../src/core/request.ts';
import { createEngineBackend, type EngineBackend } from '../../src/engine/engine-backend.ts';
import { chat } from '../../test/engine/requests.ts';
import { cacheFolder } from './install.ts';

const root = join(import.meta.dirname, '../..');
const MODEL = 'models/smollm2-135m-instruct.gguf';
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    /** The only output is one line: ratios by kind of text. */
    json: { type: 'boolean', default: false },
    model: { type: 'string' },
    threads: { type: 'string', default: String(Math.min(availableParallelism(), 8)) },
  },
});
const modelPath = resolve(
  values.model ?? [join(root, 'data', MODEL), join(root, '.cache', MODEL)].find(existsSync) ?? '',
);
const REPLY_TOKENS = 160;

const JSON_TEXT = JSON.stringify(
  Array.from({ length: 5 }, (_, i) => ({
    name: `server-${i}`,
    address: `10.0.0.${i}`,
    port: 8080,
    tls: true,
  })),
  null,
  1,
);
const CODE = `function area(shape) {
  if (shape.kind === 'circle') return Math.PI * shape.radius * shape.radius;
  if (shape.kind === 'square') return shape.side * shape.side;
  if (shape.kind === 'rectangle') return shape.width * shape.height;
  throw new Error('unknown shape ' + shape.kind);
}`;
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  'repeats itself': [
    `Repeat this JSON exactly:\n${JSON_TEXT}`,
    `Write this code again, and call the function surface:\n${CODE}`,
    `Repeat this code:\n${CODE}`,
  ],
  'ordinary chat': [
    'Tell me a story about a fox who wanted to see the sea.',
    'Why is the sky blue, and why is it red in the evening?',
    'Give me advice for my first job interview.',
  ],
};

interface Contestant {
  readonly engine: EngineBackend;
  drafted: number;
  accepted: number;
}

function start(speculation: boolean): Contestant {
  const engine = createEngineBackend({
    name: speculation ? 'with' : 'without',
    modelPath,
    cacheDir: cacheFolder,
    threads: Number(values.threads),
    slots: 1,
    // Nothing is computed while the other one has its turn.
    prefixCacheBytes: 0,
    speculation,
    emit: (event) => {
      if (event.type === 'engine-stepped') count(event);
    },
  });
  const made: Contestant = { engine, drafted: 0, accepted: 0 };
  const count = ({ draftedTokens, acceptedTokens }: EngineStepped): void => {
    made.drafted += draftedTokens;
    made.accepted += acceptedTokens;
  };
  return made;
}

function request(text: string, temperature: number): GenerateRequest {
  return chat(text, { sampling: { temperature, seed: 7 }, stop: { maxTokens: REPLY_TOKENS } });
}

/** The text, its tokens, and the time from the first of them to the last. */
async function reply({ engine }: Contestant, asked: GenerateRequest) {
  const parts = await engine.run(asked, { model: 'bench', signal: new AbortController().signal });
  let text = '';
  let tokens = 0;
  let firstAtMs = 0;
  let lastAtMs = 0;
  for await (const part of parts) {
    if (part.type === 'error') throw part.error;
    if (part.type !== 'text-delta') continue;
    lastAtMs = performance.now();
    if (tokens === 0) firstAtMs = lastAtMs;
    text += part.text;
    tokens += part.tokens;
  }
  return { text, tokens: tokens - 1, ms: lastAtMs - firstAtMs };
}

const without = start(false);
const withIt = start(true);
await Promise.all([without.engine.ready, withIt.engine.ready]);
for (const each of [without, withIt]) await reply(each, request('Hello', 0));
const allRatios: Record<string, number> = {};
say('| | tokens/s without | with | ratio | accepted of drafted |\n| --- | --- | --- | --- | --- |\n');
for (const [kind, texts] of Object.entries(TEXTS)) {
  for (const temperature of [0, 0.7]) {
    const ratios: number[] = [];
    const rates: { plain: number; guessed: number }[] = [];
    const before = { drafted: withIt.drafted, accepted: withIt.accepted };
    for (let round = 0; round < Number(values.rounds); round++) {
      const sums = { plainMs: 0, guessedMs: 0, tokens: 0 };
      for (const text of texts) {
        const plain = await reply(without, request(text, temperature));
        const guessed = await reply(withIt, request(text, temperature));
        if (plain.text !== guessed.text) throw new Error(`other text: ${plain.text} / ${guessed.text}`);
        sums.plainMs += plain.ms;
        sums.guessedMs += guessed.ms;
        sums.tokens += plain.tokens;
      }
      rates.push({
        plain: (sums.tokens * 1_000) / sums.plainMs,
        guessed: (sums.tokens * 1_000) / sums.guessedMs,
      });
      ratios.push(sums.plainMs / sums.guessedMs);
    }
    const middle = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
    const cells = [
      `${kind}, ${temperature === 0 ? 'greedy' : `seeded, temperature ${temperature}`}`,
      middle(rates.map((r) => r.plain)).toFixed(0),
      middle(rates.map((r) => r.guessed)).toFixed(0),
      `${middle(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
      `${withIt.accepted - before.accepted} of ${withIt.drafted - before.drafted}`,
    ];
    allRatios[cells[0]!] = middle(ratios);
    say(`| ${cells.join(' | ')} |\n`);
  }
}
await Promise.all([without.engine.close(), withIt.engine.close()]);
if (values.json) process.stdout.write(`${JSON.stringify(allRatios)}\n`);

function say(text: string): void {
  if (!values.json) process.stdout.write(text);
}
