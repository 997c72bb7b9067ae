import type { FinishReason } from './part.ts';
import type { Usage } from './usage.ts';

/** What was seen of one reply while it passed by; the basis of metrics, billing and latency feedback. Times: `performance.now()`. */
export interface Observation {
  firstTokenAtMs: number | undefined;
  lastTokenAtMs: number | undefined;
  /** Content events seen; a lower bound for completion tokens where usage is missing. */
  contentEvents: number;
  /** Bytes of the text that came, or of what it came in: it has no more tokens than this. */
  replyBytes: number;
  /** As measured by the backend; undefined when the reply broke off before it told. */
  usage: Usage | undefined;
  readonly finishReasons: FinishReason[];
}

export function newObservation(): Observation {
  return {
    firstTokenAtMs: undefined,
    lastTokenAtMs: undefined,
    contentEvents: 0,
    replyBytes: 0,
    usage: undefined,
    finishReasons: [],
  };
}
