/** What every contestant measures, so that figures can be set side by side. */

/** Sequences decoded together. */
export const BATCHES = [1, 4, 8, 16, 32];
/** Tokens of a prompt that is computed alone. */
export const PROMPTS = [128, 512, 1024];
/** Each sequence of a batch begins with so many tokens … */
export const DECODE_CONTEXT = 128;
/** … and gets so many more. */
export const DECODE_STEPS = 32;

export interface Figure {
  /** Such as `decode 8` or `prompt 512`. */
  readonly name: string;
  readonly tokensPerSecond: number;
}

/** What a program that measures is started with, as one JSON argument. */
export interface Task {
  readonly model: string;
  /** Where the graph of the model is built. */
  readonly cacheDir: string;
  readonly threads: number;
  readonly batches: readonly number[];
  readonly prompts: readonly number[];
}

export function readTask(): Task {
  return JSON.parse(process.argv[2] ?? '');
}

/** The program's only output: the last line. */
export function report(figures: readonly Figure[]): void {
  process.stdout.write(`\n${JSON.stringify(figures)}\n`);
}

/** Ids of ordinary tokens; the same for everybody, different for every sequence. */
export function someTokens(length: number, sequence: number): number[] {
  return Array.from({ length }, (_, i) => 1_000 + ((i * 7_919 + sequence * 104_729) % 40_000));
}

export function perSecond(tokens: number, sinceMs: number): number {
  return (tokens * 1_000) / (performance.now() - sinceMs);
}
