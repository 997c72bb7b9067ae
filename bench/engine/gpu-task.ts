import type { ProviderName } from '../../kernels/ort/providers.ts';
import type { Figure, Task } from './figures.ts';

/** What `gpu-decoder.ts` is started with. */
export interface GpuTask extends Task {
  readonly provider: ProviderName;
  readonly libraryFolder?: string | undefined;
  /** Options of the provider under ONNX Runtime's names. */
  readonly extra?: Readonly<Record<string, string>> | undefined;
  /** `fp32` is the reference that all are compared with. */
  readonly variant: '8bit' | 'fp32';
  /** So many chat prompts, and greedy tokens after each. */
  readonly chats: number;
  readonly replyTokens: number;
  /** Gets the logits after every chat prompt, float32, one prompt after the other. */
  readonly logitsFile: string;
}

/** What it found. */
export interface GpuOutcome {
  readonly figures: readonly Figure[];
  /** Greedy tokens after every chat prompt. */
  readonly greedy: readonly (readonly number[])[];
  /** Milliseconds to load the weights and to compute for the first time. */
  readonly loadMs: number;
  readonly firstPassMs: number;
}
