import type { Encoder } from '../core/encoder.ts';
import type { GenerateRequest } from '../core/request.ts';
import { askedOf } from './asked.ts';
import type { DifficultyClassifier, Judgement } from './classifier.ts';
import { featureClassifier } from './feature-classifier.ts';
import { difficultyOf, type LearntHead, rawScore, TRUNCATE_TOKENS } from './learnt-head.ts';

export interface EmbeddingClassifierOptions {
  readonly encoder: Pick<Encoder, 'embed'>;
  readonly head: LearntHead;
  /** A request waits this long for its judgement; after that it is judged by what can be counted. */
  readonly timeoutMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** After an encoder was late or failed, nobody waits for it for this long. */
const PAUSE_MS = 1_000;

/**
 * Judges by what a local encoder makes of the question, or by what can be counted where that does not come in time.
 * The text goes nowhere but to that encoder, which runs beside this process, so this is open to texts of every
 * privacy class.
 */
export class EmbeddingClassifier implements DifficultyClassifier {
  readonly #options: EmbeddingClassifierOptions;
  readonly #now: () => number;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: EmbeddingClassifierOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  judge(request: GenerateRequest): Judgement {
    return featureClassifier.judge(request);
  }

  consider(request: GenerateRequest, signal: AbortSignal): Promise<Judgement | undefined> | undefined {
    const { question } = askedOf(request);
    // A picture, sound or token ids: there is nothing to read.
    if (this.#now() < this.#pausedUntilMs || question.trim() === '') return undefined;
    return this.#considered(request, question, signal);
  }

  async #considered(
    request: GenerateRequest,
    question: string,
    client: AbortSignal,
  ): Promise<Judgement | undefined> {
    const { encoder, head, timeoutMs } = this.#options;
    const signal = AbortSignal.any([client, AbortSignal.timeout(timeoutMs)]);
    try {
      const { vectors } = await encoder.embed(
        {
          endpoint: 'embeddings',
          id: `${request.id}-difficulty`,
          model: request.model,
          wire: request.wire,
          inputs: [question],
          dimensions: undefined,
          truncateTokens: TRUNCATE_TOKENS,
        },
        { signal },
      );
      const vector = vectors[0]!;
      // Another model's vectors would mean something else.
      if (vector.length !== head.weights.length) return undefined;
      return { difficulty: difficultyOf(head, rawScore(head, vector)), by: head.version };
    } catch {
      if (!client.aborted) this.#pausedUntilMs = this.#now() + PAUSE_MS;
      return undefined;
    }
  }
}
