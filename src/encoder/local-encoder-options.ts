import type { Encoder, EncoderTask } from '../core/encoder.ts';
import type { Emit } from '../core/event.ts';
import type { Clock } from '../model-process/clock.ts';
import type { SpawnModelProcess } from '../model-process/model-process.ts';
import type { ProviderChoice } from '../model-process/provider-choice.ts';
import type { SupervisorTimes } from '../model-process/supervisor-options.ts';
import type { EncoderInfo, FromEncoder, ToEncoder } from './messages.ts';

export type SpawnEncoder = SpawnModelProcess<ToEncoder, FromEncoder>;

export interface LocalEncoderOptions extends ProviderChoice {
  readonly name: string;
  /** With config.json, tokenizer.json and an ONNX graph. */
  readonly directory: string;
  /** Default: what config.json says. */
  readonly task?: EncoderTask;
  /** Default: as many as the machine runs at once, at most 8. */
  readonly threads?: number;
  /** Longest input; default and at most what the model says. */
  readonly contextTokens?: number;
  /** Requests that may wait or run; default 256. */
  readonly queueLimit?: number;
  /** Most padded tokens computed together; default 4096. */
  readonly batchTokens?: number;
  /** Computes embeddings largely in 8-bit integers where they stay close enough; default true. */
  readonly integers?: boolean;
  /** For graphs of models that lie where nothing may be written. */
  readonly fallbackCacheDir?: string;
  /** Threads wait busily: faster, but burns the cores. Default false. */
  readonly spinning?: boolean;
  /** The process is killed when it takes more; default: it may take what it wants. */
  readonly memoryLimitBytes?: () => number;
  readonly emit: Emit;
  readonly clock?: Clock;
  readonly times?: Partial<SupervisorTimes>;
  /** How the process is started; tests bring their own program. */
  readonly spawn?: SpawnEncoder;
}

export interface LocalEncoder extends Encoder {
  /** Resolves when the model is first loaded; rejects when that failed. Need not be awaited. */
  readonly ready: Promise<void>;
  /** Of the process that was last ready. */
  info(): EncoderInfo | undefined;
  /** Of the process that runs now, if one does. */
  readonly pid: number | undefined;
  /** Of the clock; undefined while it is not ready. */
  readonly readySinceMs: number | undefined;
}
