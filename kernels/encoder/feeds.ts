import { pinned } from '../ort/pinned.ts';

/** One text as the graph sees it. At least one token. */
export interface EncoderRow {
  readonly ids: ArrayLike<number>;
  /** The segment of each token; undefined: all 0. */
  readonly typeIds?: ArrayLike<number> | undefined;
}

/** Names of the inputs that graphs exported by Hugging Face's optimum have. */
export const KNOWN_INPUTS: ReadonlySet<string> = new Set([
  'input_ids',
  'attention_mask',
  'token_type_ids',
  'position_ids',
]);

export interface GraphInput {
  readonly name: string;
  readonly type: 'int32' | 'int64';
}

/** A graph's inputs for a batch, each [rows, longest row], which native code may hold on to. */
export function feedsOf(
  inputs: readonly GraphInput[],
  rows: readonly EncoderRow[],
  padId: number,
): ReadonlyMap<string, Int32Array | BigInt64Array> {
  const sequenceLength = longest(rows);
  return new Map(
    inputs.map(({ name, type }) => {
      const values = pinned(Int32Array, rows.length * sequenceLength);
      if (name === 'input_ids') values.fill(padId);
      for (const [row, { ids, typeIds }] of rows.entries()) {
        const start = row * sequenceLength;
        if (name === 'input_ids') values.set(ids, start);
        else if (name === 'attention_mask') values.fill(1, start, start + ids.length);
        else if (name === 'token_type_ids' && typeIds) values.set(typeIds, start);
        else if (name === 'position_ids') for (let i = 0; i < ids.length; i++) values[start + i] = i;
      }
      return [name, type === 'int32' ? values : widened(values)];
    }),
  );
}

/** Tokens of the longest row, to which the others are padded. */
export function longest(rows: readonly EncoderRow[]): number {
  return Math.max(...rows.map(({ ids }) => ids.length));
}

function widened(values: Int32Array): BigInt64Array {
  const wide = pinned(BigInt64Array, values.length);
  // Little-endian, and never negative, so the lower half is the number. Going BigInt by BigInt takes ten times as long.
  const halves = new Int32Array(wide.buffer);
  for (let i = 0; i < values.length; i++) halves[2 * i] = values[i]!;
  return wide;
}
