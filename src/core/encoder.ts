import type { BackendHealth, RunOptions } from './backend.ts';
import type { WireRequest } from './request.ts';

/** What an encoder makes of a text: a vector, how well a document answers a query, or class probabilities. */
export type EncoderTask = 'embed' | 'rerank' | 'classify';

/** A text, or token ids of the model's vocabulary, which are taken as they are: no special tokens are added to them. */
export type EncoderInput = string | readonly number[];

interface EncodeHead {
  readonly id: string;
  /** The public model name that the client asked for. */
  readonly model: string;
  readonly wire: WireRequest;
}

export interface EmbedRequest extends EncodeHead {
  readonly endpoint: 'embeddings';
  /** At least one. */
  readonly inputs: readonly EncoderInput[];
  /** Vectors are cut to this many dimensions; at most the model's. Undefined: all. */
  readonly dimensions: number | undefined;
  /** Inputs are cut to this many tokens, or to the model's limit if that is less. Undefined: a longer one is an error. */
  readonly truncateTokens: number | undefined;
}

export interface RerankRequest extends EncodeHead {
  readonly endpoint: 'rerank';
  readonly query: string;
  /** At least one. Cut to what the model takes beside the query. */
  readonly documents: readonly string[];
  /** Documents are cut to this many tokens, or to what the model takes if that is less. Undefined: to what it takes. */
  readonly truncateTokens: number | undefined;
}

export interface ClassifyRequest extends EncodeHead {
  readonly endpoint: 'classify';
  /** At least one. */
  readonly inputs: readonly EncoderInput[];
  readonly truncateTokens: number | undefined;
}

export type EncodeRequest = EmbedRequest | RerankRequest | ClassifyRequest;

export interface Embeddings {
  readonly endpoint: 'embeddings';
  /** One per input, in order; all of the same length. */
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
}

export interface RerankScores {
  readonly endpoint: 'rerank';
  /** In [0, 1], one per document, in the order of the request. */
  readonly scores: readonly number[];
  readonly promptTokens: number;
}

export interface Classification {
  readonly label: string;
  /** One per class, in the model's order. */
  readonly probabilities: readonly number[];
}

export interface Classifications {
  readonly endpoint: 'classify';
  /** One per input, in order. */
  readonly classes: readonly Classification[];
  readonly promptTokens: number;
}

export type EncodeResult = Embeddings | RerankScores | Classifications;

export type EncodeOptions = Pick<RunOptions, 'signal'>;

/**
 * A local model that reads whole texts at once. What the verbs throw is an AppError; one that is asked for what its
 * model was not made for throws `invalid_value` for `model`.
 */
export interface Encoder {
  readonly name: string;
  readonly kind: 'encoder';
  /** It queues by itself. */
  readonly concurrency?: undefined;
  /** See `Backend`. */
  readonly places?: number | undefined;
  /** Undefined until the model is loaded, unless the configuration tells. */
  readonly task: EncoderTask | undefined;
  embed(request: EmbedRequest, options: EncodeOptions): Promise<Embeddings>;
  rerank(request: RerankRequest, options: EncodeOptions): Promise<RerankScores>;
  classify(request: ClassifyRequest, options: EncodeOptions): Promise<Classifications>;
  health(): BackendHealth;
  close(): Promise<void>;
}

/** Which task serves which endpoint. */
export const TASK_OF = { embeddings: 'embed', rerank: 'rerank', classify: 'classify' } as const;
