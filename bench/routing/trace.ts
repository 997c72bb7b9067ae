import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from './random.ts';

/** Tokens of one block of the published prefix hashes. */
export const BLOCK_TOKENS = 512;

export interface TraceRequest {
  readonly arrivalMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Of the full blocks of the prompt's beginning; equal ids are equal prefixes. Empty where the trace has none. */
  readonly blockIds: readonly number[];
}

export interface Trace {
  readonly requests: readonly TraceRequest[];
  /** Times were recorded in steps of so many. */
  readonly quantumMs: number;
}

const TRACES = {
  'mooncake-conversation': { file: 'mooncake-conversation.jsonl', parse: mooncake, quantumMs: 3_000 },
  'azure-conv': { file: 'azure-conv.csv', parse: azure, quantumMs: 0 },
  'azure-code': { file: 'azure-code.csv', parse: azure, quantumMs: 0 },
} as const;
export type TraceName = keyof typeof TRACES;

/** @throws When the file is not in the folder. */
export function readTrace(folder: string, name: TraceName): Trace {
  const { file, parse, quantumMs } = TRACES[name];
  return { requests: parse(readFileSync(join(folder, file), 'utf8')), quantumMs };
}

/** What was recorded in steps is spread over them, or bursts that never were would distort everything. `load` compresses time. */
export function replay({ requests, quantumMs }: Trace, load: number, seed: number): TraceRequest[] {
  const random = seededRandom(seed);
  return requests
    .map((request) => ({ ...request, arrivalMs: (request.arrivalMs + random() * quantumMs) / load }))
    .sort((a, b) => a.arrivalMs - b.arrivalMs);
}

function mooncake(text: string): TraceRequest[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const { timestamp, input_length, output_length, hash_ids } = JSON.parse(line) as {
        timestamp: number;
        input_length: number;
        output_length: number;
        hash_ids: number[];
      };
      // An incomplete last block has an id too, but no engine keeps it.
      const blockIds = hash_ids.slice(0, Math.floor(input_length / BLOCK_TOKENS));
      return {
        arrivalMs: timestamp,
        promptTokens: Math.max(1, input_length),
        outputTokens: Math.max(1, output_length),
        blockIds,
      };
    });
}

function azure(text: string): TraceRequest[] {
  const rows = text.trim().split(/\r?\n/).slice(1);
  const times = rows.map((row) => azureTimeMs(row.split(',')[0]!));
  return rows.map((row, i) => {
    const [, prompt, output] = row.split(',');
    return {
      arrivalMs: times[i]! - times[0]!,
      promptTokens: Math.max(1, Number(prompt)),
      outputTokens: Math.max(1, Number(output)),
      blockIds: [],
    };
  });
}

/** Seven digits of a second are more than Date reads. */
function azureTimeMs(stamp: string): number {
  const [seconds, fraction = '0'] = stamp.split('.');
  return Date.parse(`${seconds!.replace(' ', 'T')}Z`) + Number(`0.${fraction}`) * 1000;
}
