import type { EncodeRequest, EncoderTask } from '../core/encoder.ts';
import type { AppErrorOptions, ErrorCode } from '../core/error.ts';
import { AppError } from '../core/error.ts';
import type { Command, Report } from '../model-process/protocol.ts';
import type { ProviderInfo, ProviderWish } from '../model-process/provider-info.ts';

/** What an encoder process is started with. */
export interface EncoderLoadOptions extends ProviderWish {
  readonly directory: string;
  /** Undefined: what the directory's config.json says. */
  readonly task?: EncoderTask;
  /** Undefined: the process chooses by the machine. */
  readonly threads?: number;
  /** Longest input; undefined: what the model says. */
  readonly contextTokens?: number;
  /** Most padded tokens computed together. */
  readonly batchTokens: number;
  /** Compute from a graph of integers where one can be made that is close enough. */
  readonly integers: boolean;
  /** Where graphs that are made of the model's may be kept, the most wanted first. */
  readonly cacheDirs: readonly string[];
  readonly spinning: boolean;
}

export interface EncoderInfo extends ProviderInfo {
  readonly pid: number;
  readonly architecture: string;
  readonly task: EncoderTask;
  /** Longest input, special tokens included. */
  readonly contextTokens: number;
  /** Numbers per vector, or classes. */
  readonly dimensions: number;
  /** A row's result does not depend on what else is in the batch; where it does, every row runs alone. */
  readonly rowsIndependent: boolean;
  /** Computed largely in 8-bit integers, from a graph made of the model's own. */
  readonly integers: boolean;
  /** Batches that are computed side by side; 0: one after the other. */
  readonly lanes: number;
  readonly labels: readonly string[];
  readonly independentClasses: boolean;
  readonly vocabularySize: number;
  readonly threads: number;
  readonly loadMs: number;
  readonly rssBytes: number;
  /** What a full batch takes beside it, at most. */
  readonly activationBytes: number;
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** A request as JSON can carry it; the encoder does not need the original bytes. */
export type WireEncodeRequest = DistributiveOmit<EncodeRequest, 'wire'>;

export interface BatchStatistics {
  readonly inputs: number;
  readonly tokens: number;
  readonly paddingTokens: number;
  readonly durationMs: number;
  /** Requests that none of the batches so far had room for, in whole or in part. */
  readonly waiting: number;
}

interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  /** For the log: what was at fault here, not in the request. */
  readonly cause?: string;
}

export interface WireRows {
  readonly id: number;
  readonly rows: number;
  /** Float32, little-endian, base64: all rows one after the other. */
  readonly data: string;
}

/** What became of one request: its last rows, or an error. */
export type WireOutcome =
  | (WireRows & { readonly promptTokens: number })
  | { readonly id: number; readonly error: WireError };

export type ToEncoder =
  | Command<EncoderLoadOptions>
  | { readonly type: 'submit'; readonly id: number; readonly request: WireEncodeRequest }
  | { readonly type: 'cancel'; readonly id: number };

export type FromEncoder =
  | Report<EncoderInfo>
  /** Of a request that has many: the next ones. Whoever reads them has other things to do, too. */
  | ({ readonly type: 'rows' } & WireRows)
  | { readonly type: 'outcomes'; readonly outcomes: readonly WireOutcome[] }
  | { readonly type: 'batched'; readonly batch: BatchStatistics };

export function toWireError(error: AppError): WireError {
  const { code, message, param, cause } = error;
  return {
    code,
    message,
    ...(param === undefined ? {} : { param }),
    ...(cause === undefined
      ? {}
      : { cause: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) }),
  };
}

export function fromWireError({ code, ...options }: WireError): AppError {
  return new AppError(code, options satisfies AppErrorOptions);
}

/** Every machine that we run on is little-endian. */
export function packRows(rows: readonly Float32Array[]): string {
  const size = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * size);
  for (const [i, row] of rows.entries()) all.set(row, i * size);
  return Buffer.from(all.buffer).toString('base64');
}

export function unpackRows(data: string, rows: number): Float32Array[] {
  const bytes = Buffer.from(data, 'base64');
  // A copy, because a small buffer may lie at an address that floats cannot have.
  const all = new Float32Array(new Uint8Array(bytes).buffer);
  const size = all.length / Math.max(1, rows);
  return Array.from({ length: rows }, (_, i) => all.subarray(i * size, (i + 1) * size));
}
