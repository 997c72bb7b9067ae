import { strictest } from '../../routers/constraints.ts';
import { BLOCK_BYTES, hashPrompt } from '../../routers/prompt-hash.ts';
import {
  type Constraints,
  type Media,
  type RequestFeatures,
  UNKNOWN_REQUEST,
} from '../../routers/request.ts';
import type { EncodeRequest } from '../core/encoder.ts';
import { choiceCount, type GenerateRequest } from '../core/request.ts';
import { textDemands } from './request/privacy-rule.ts';
import { promptSizeBytes } from './request/prompt-size.ts';
import type { RequestContext } from './request-context.ts';

/** What policies may know of a generation. */
export function generationFeatures(request: GenerateRequest, context: RequestContext): RequestFeatures {
  return new GenerationFeatures(request, context, context.route.model.deployments.length > 1);
}

/** What policies may know of a text that is to be read. */
export function encodeFeatures(request: EncodeRequest, context: RequestContext): RequestFeatures {
  return {
    ...UNKNOWN_REQUEST,
    stream: false,
    promptTokens: Math.ceil(request.wire.body.length / context.model.bytesPerToken),
    maxOutputTokens: 0,
    constraints: constraintsOf(request, context),
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
  constructor(request: GenerateRequest, context: RequestContext, choice: boolean) {
    const perToken = context.model.bytesPerToken;
    const { model, cacheSalt = '', wire } = request;
    this.tenant = context.caller?.projectId ?? request.cacheSalt;
    if (choice) this.#prompt = { salt: `${model}\n${this.tenant ?? ''}\n${cacheSalt}`, body: wire.body };
    this.promptTokens = Math.ceil(promptSizeBytes(request) / perToken);
    this.blockTokens = Math.max(1, Math.round(BLOCK_BYTES / perToken));
    this.stream = request.stream;
    this.maxOutputTokens = request.stop.maxTokens;
    this.choices = choiceCount(request);
    this.sessionKey = context.demands.sessionKey;
    this.sloTtftMs = context.demands.sloTtftMs;
    const { tiers } = context.route;
    const judgement = context.judgement ?? tiers?.classifier.judge(request);
    this.difficulty = judgement?.difficulty;
    this.judgedBy = judgement?.by;
    const hard = tiers !== undefined && this.difficulty !== undefined && this.difficulty >= tiers.threshold;
    const demanded = constraintsOf(request, context);
    this.enoughBelow = hard || this.difficulty === undefined ? undefined : tiers?.quality;
    if (demanded.maxCostUsd !== undefined) {
      const { maxTokens = context.placement.usualOutputTokens(this.tenant) } = request.stop;
      this.likelyOutputTokens = Math.ceil(maxTokens) * this.choices;
    }
    this.media = context.media;
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

const NO_DEMANDS: Constraints = {};

/** The operator's demands, the client's, and those of the text: the strictest of each kind. */
function constraintsOf(
  request: GenerateRequest | EncodeRequest,
  { route, demands, privacy }: RequestContext,
): Constraints {
  return strictest(strictest(route.demands ?? NO_DEMANDS, demands), textDemands(request, privacy));
}

/**
 * The body from where its prompt begins. One client writes the same conversation the same way every time, so the bytes
 * need not be understood to see that two prompts begin alike; a wrong place costs hits, never correctness.
 */
function fromPrompt(body: Buffer): Buffer {
  const at = body.indexOf('"messages"');
  return body.subarray(Math.max(0, at < 0 ? body.indexOf('"prompt"') : at));
}
