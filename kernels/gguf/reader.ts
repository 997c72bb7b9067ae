/** A metadata value. 64-bit integers become numbers (they hold sizes and ids, far below 2^53). */
export type GgufValue = number | boolean | string | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** In GGUF order: the contiguous dimension (columns, K) first, rows after. */
  readonly dims: readonly number[];
  /** Quantisation, by its ggml name: `F32`, `Q4_1`, … */
  readonly type: string;
  /** Position in the file, bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface GgufFile {
  readonly path: string;
  readonly version: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** Such as `general.architecture`, `tokenizer.ggml.tokens`, `tokenizer.chat_template`. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/**
 * Reads the header, metadata and tensor table; weights stay in the file. Throws ModelFileError for anything damaged.
 */
export function readGguf(_path: string): GgufFile {
  throw new Error('not built yet');
}
