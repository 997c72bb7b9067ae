import { seededRandom } from './random.ts';

/** Tokens of one block of the published prefix hashes. */
export const BLOCK_TOKENS = 512;
/** Its times are multiples of it. */
const MOONCAKE_QUANTUM_MS = 3_000;

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

const AZURE = 'TIMESTAMP,ContextTokens,GeneratedTokens';

/** By its first line: Mooncake's (lines of JSON with `hash_ids`) or Azure's (CSV). */
export function isTrace(firstLine: string): boolean {
  return firstLine.trim() === AZURE || (firstLine.startsWith('{') && firstLine.includes('"hash_ids"'));
}

/** @throws Error that names the line which is not of the trace's format. */
export function parseTrace(text: string): Trace {
  const lines = text.trim().split(/\r?\n/);
  return lines[0]!.trim() === AZURE
    ? { requests: azure(lines.slice(1)), quantumMs: 0 }
    : { requests: lines.map(mooncake), quantumMs: MOONCAKE_QUANTUM_MS };
}

/** What was recorded in steps is spread over them, or bursts that never were would distort everything. `load` compresses time. */
export function replay({ requests, quantumMs }: Trace, load: number, seed: number): TraceRequest[] {
  const random = seededRandom(seed);
  return requests
    .map((request) => ({ ...request, arrivalMs: (request.arrivalMs + random() * quantumMs) / load }))
    .sort((a, b) => a.arrivalMs - b.arrivalMs);
}

interface MooncakeLine {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

function mooncake(text: string, i: number): TraceRequest {
  const { timestamp, input_length, output_length, hash_ids } = mooncakeLine(text, i + 1);
  // An incomplete last block has an id too, but no engine keeps it.
  const blockIds = hash_ids.slice(0, Math.floor(input_length / BLOCK_TOKENS));
  return checked({ arrivalMs: timestamp, blockIds }, input_length, output_length, i + 1);
}

function mooncakeLine(text: string, line: number): MooncakeLine {
  try {
    return JSON.parse(text) as MooncakeLine;
  } catch {
    throw new Error(`line ${line} is no JSON`);
  }
}

function azure(rows: readonly string[]): TraceRequest[] {
  const firstMs = azureTimeMs(rows[0] ?? '');
  return rows.map((row, i) => {
    const [, prompt, output] = row.split(',');
    const arrivalMs = azureTimeMs(row) - firstMs;
    return checked({ arrivalMs, blockIds: [] }, Number(prompt), Number(output), i + 2);
  });
}

function checked(
  known: Pick<TraceRequest, 'arrivalMs' | 'blockIds'>,
  promptTokens: number,
  outputTokens: number,
  line: number,
): TraceRequest {
  if (!Number.isFinite(known.arrivalMs + promptTokens + outputTokens))
    throw new Error(`line ${line} is not of the trace's format`);
  return { ...known, promptTokens: Math.max(1, promptTokens), outputTokens: Math.max(1, outputTokens) };
}

/** Seven digits of a second are more than Date reads. */
function azureTimeMs(row: string): number {
  const [seconds, fraction = '0'] = row.split(',')[0]!.split('.');
  return Date.parse(`${seconds!.replace(' ', 'T')}Z`) + Number(`0.${fraction}`) * 1000;
}
