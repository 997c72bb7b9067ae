import { strictest } from '../../routers/constraints.ts';
import { BLOCK_BYTES, hashPrompt } from '../../routers/prompt-hash.ts';
import {
  type Constraints,
  type Media,
  type RequestFeatures,
  UNKNOWN_REQUEST,
} from '../../routers/request.ts';
import type { EncodeRequest } from '../core/encoder.ts';
import type { GenerateRequest } from '../core/request.ts';
import type { Judgement } from '../difficulty/classifier.ts';
import type { AttemptOptions } from './attempts.ts';
import { isMedia, mediaOf } from './media.ts';
import { textDemands } from './privacy-rule.ts';

type Asked = Pick<AttemptOptions, 'route' | 'placement' | 'demands' | 'privacy' | 'caller'> & {
  /** The request's difficulty, where that was worth waiting for. */
  readonly judgement?: Judgement | undefined;
};

/** What policies may know of a generation. */
export function generationFeatures(request: GenerateRequest, asked: Asked): RequestFeatures {
  const { model } = asked.route();
  return new GenerationFeatures(request, asked, model.deployments.length > 1);
}

/** What policies may know of a text that is to be read. */
export function encodeFeatures(request: EncodeRequest, asked: Asked): RequestFeatures {
  return {
    ...UNKNOWN_REQUEST,
    stream: false,
    promptTokens: Math.ceil(request.wire.body.length / bytesPerToken(asked)),
    maxOutputTokens: 0,
    constraints: constraintsOf(request, asked),
  };
}

/** The prompt is hashed only when somebody asks for it. */
class GenerationFeatures implements RequestFeatures {
  readonly promptTokens: number;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly blockTokens: number;
  /** What a backend can do is asked of the backend itself. */
  readonly needs: readonly string[] = [];
  readonly sessionKey: string | undefined;
  readonly tenant: string | undefined;
  readonly constraints: Constraints;
  readonly difficulty: number | undefined;
  readonly judgedBy: string | undefined;
  readonly enoughBelow: number | undefined;
  readonly likelyOutputTokens: number | undefined = undefined;
  readonly choices: number;
  readonly media: Media;
  readonly sloTtftMs: number | undefined;
  /** Until it is hashed: decisions are kept, and texts must not be kept with them. */
  #prompt: { readonly salt: string; readonly body: Buffer } | undefined;
  #blocks: Int32Array | undefined;

  /** @param choice There is more than one deployment, so that what is known of the prompt may matter. */
  constructor(request: GenerateRequest, asked: Asked, choice: boolean) {
    const perToken = bytesPerToken(asked);
    const { model, cacheSalt = '', wire } = request;
    this.tenant = asked.caller?.projectId ?? request.cacheSalt;
    if (choice) this.#prompt = { salt: `${model}\n${this.tenant ?? ''}\n${cacheSalt}`, body: wire.body };
    this.promptTokens = Math.ceil(promptSizeBytes(request) / perToken);
    this.blockTokens = Math.max(1, Math.round(BLOCK_BYTES / perToken));
    this.stream = request.stream;
    this.maxOutputTokens = request.stop.maxTokens;
    this.choices = request.n * Math.max(1, request.prompts.length);
    this.sessionKey = asked.demands.sessionKey;
    this.sloTtftMs = asked.demands.sloTtftMs;
    const { tiers } = asked.route();
    const judgement = asked.judgement ?? tiers?.classifier.judge(request);
    this.difficulty = judgement?.difficulty;
    this.judgedBy = judgement?.by;
    const hard = tiers !== undefined && this.difficulty !== undefined && this.difficulty >= tiers.threshold;
    const demanded = constraintsOf(request, asked);
    this.enoughBelow = hard || this.difficulty === undefined ? undefined : tiers?.quality;
    if (demanded.maxCostUsd !== undefined) {
      const { maxTokens = asked.placement.usualOutputTokens(this.tenant) } = request.stop;
      this.likelyOutputTokens = Math.ceil(maxTokens) * this.choices;
    }
    this.media = mediaOf(request);
    this.constraints = hard ? { ...demanded, minQuality: tiers.quality } : demanded;
  }

  get blocks(): Int32Array {
    if (this.#prompt !== undefined) {
      const { salt, body } = this.#prompt;
      this.#blocks = hashPrompt(salt, fromPrompt(body));
      this.#prompt = undefined;
    }
    return this.#blocks ?? UNKNOWN_REQUEST.blocks;
  }
}

function bytesPerToken({ route, placement }: Asked): number {
  return placement.model(route().model.name).bytesPerToken;
}

const NO_DEMANDS: Constraints = {};

/** The operator's demands, the client's, and those of the text: the strictest of each kind. */
function constraintsOf(
  request: GenerateRequest | EncodeRequest,
  { route, demands, privacy }: Asked,
): Constraints {
  return strictest(strictest(route().demands ?? NO_DEMANDS, demands), textDemands(request, privacy));
}

/** Pictures and sound are read by other measures than text, and have none here. */
export function promptSizeBytes({ requirements, prompts, wire }: GenerateRequest): number {
  if (!requirements.some(isMedia)) return wire.body.length;
  let bytes = 0;
  for (const prompt of prompts)
    if (prompt.kind === 'chat')
      for (const { content } of prompt.messages)
        for (const part of content) if (part.type === 'text') bytes += Buffer.byteLength(part.text);
  return bytes;
}

/**
 * The body from where its prompt begins. One client writes the same conversation the same way every time, so the bytes
 * need not be understood to see that two prompts begin alike; a wrong place costs hits, never correctness.
 */
function fromPrompt(body: Buffer): Buffer {
  const at = body.indexOf('"messages"');
  return body.subarray(Math.max(0, at < 0 ? body.indexOf('"prompt"') : at));
}
