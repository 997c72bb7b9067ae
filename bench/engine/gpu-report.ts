import { cpus } from 'node:os';
import { cosine, divergence } from '../../test/fixtures/tiny-graph.ts';
import type { Served } from './gpu-served.ts';
import type { GpuOutcome } from './gpu-task.ts';

export interface Decoded {
  readonly outcome: GpuOutcome;
  /** [chat prompts × vocabulary] */
  readonly logits: Float32Array;
}

/** A provider's figures, or why there are none. */
export type Measured =
  | { readonly provider: string; readonly bare: Decoded; readonly served: Served }
  | { readonly provider: string; readonly failure: string };

interface Machine {
  readonly exact: Decoded;
  /** Where `provider: auto` computes. */
  readonly auto: string;
  readonly gpu: string;
  readonly threads: number;
}

export function renderGpu(measured: readonly Measured[], { exact, auto, gpu, threads }: Machine): string {
  const ran = measured.flatMap((each) => ('failure' in each ? [] : [each]));
  const names = ran[0]?.bare.outcome.figures.map(({ name }) => name) ?? [];
  const speed = names.map((name) => [
    name,
    ...ran.map(({ bare }) =>
      whole(bare.outcome.figures.find((figure) => figure.name === name)?.tokensPerSecond),
    ),
  ]);
  const clients = Object.keys(ran[0]?.served.tokensPerSecond ?? {});
  const served = [
    ...clients.map((count) => [
      `${count} chats at once, tokens/s`,
      ...ran.map((each) => whole(each.served.tokensPerSecond[Number(count)])),
    ]),
    ['from start to ready, ms', ...ran.map((each) => whole(each.served.loadMs))],
  ];
  const onCpu = ran.find(({ provider }) => provider === 'cpu')?.bare;
  const closeness = [
    [
      'KL from fp32, mean',
      ...ran.map(({ bare }) => mean(perPrompt(exact, bare, divergence)).toExponential(1)),
    ],
    [
      'cosine with fp32, least',
      ...ran.map(({ bare }) => Math.min(...perPrompt(exact, bare, cosine)).toFixed(5)),
    ],
    ['first token as in fp32', ...ran.map(({ bare }) => sameFirst(exact, bare))],
    ['greedy tokens as in fp32', ...ran.map(({ bare }) => sameTokens(exact, bare))],
    ['greedy tokens as on the CPU', ...ran.map(({ bare }) => (onCpu ? sameTokens(onCpu, bare) : '–'))],
  ];
  const head = ['', ...ran.map(({ provider }) => provider)];
  const failures = measured.flatMap((each) =>
    'failure' in each ? [`- ${each.provider}: ${each.failure}\n`] : [],
  );
  return `# The local engine on a GPU

${gpu}, beside ${cpus()[0]?.model.trim()} (${cpus().length} cores, ${threads} threads used), Node ${process.version}. SmolLM2-135M-Instruct, Q4_1.
Written by \`node bench/engine/gpu.ts\`. \`provider: auto\` computes ${auto}.

## Without server

Tokens per second: \`prompt N\` is one prompt of N tokens, \`decode N\` are N sequences of 128 tokens of context decoded together. Medians of five.

${table(head, speed)}

## Through the engine process

Chats of some 100 tokens with 64 tokens of reply each, greedy, scheduler, tokenizer and sampler included.

${table(head, served)}

## What is computed

Logits after ${exact.outcome.greedy.length} chat prompts, and ${exact.outcome.greedy[0]?.length} greedy tokens each, beside the same weights in fp32 on the CPU. The CPU multiplies 8-bit activations, GPUs do not all.

${table(head, closeness)}

${ran.map(({ provider, served }) => `- ${provider}, the capital of France: ${JSON.stringify(served.answer)}`).join('\n')}
${failures.length === 0 ? '' : `\nNot run:\n\n${failures.join('')}`}`;
}

function perPrompt(a: Decoded, b: Decoded, compare: (a: Float32Array, b: Float32Array) => number): number[] {
  const count = a.outcome.greedy.length;
  const size = a.logits.length / count;
  const row = ({ logits }: Decoded, i: number) => logits.subarray(i * size, (i + 1) * size);
  return Array.from({ length: count }, (_, i) => compare(row(a, i), row(b, i)));
}

function sameFirst(a: Decoded, b: Decoded): string {
  const same = a.outcome.greedy.filter((tokens, i) => tokens[0] === b.outcome.greedy[i]![0]).length;
  return `${same} of ${a.outcome.greedy.length}`;
}

/** Tokens before the first difference, over all prompts. */
function sameTokens(a: Decoded, b: Decoded): string {
  const all = a.outcome.greedy.flat().length;
  const same = a.outcome.greedy.map((tokens, i) => {
    const at = tokens.findIndex((token, k) => token !== b.outcome.greedy[i]![k]);
    return at < 0 ? tokens.length : at;
  });
  return `${same.reduce((sum, count) => sum + count, 0)} of ${all}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function whole(value: number | undefined): string {
  return value === undefined ? '–' : value.toFixed(0);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
