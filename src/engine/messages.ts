import { AppError, type ErrorCode } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest } from '../core/request.ts';
import { type ResolvedSampling, resolveSampling, type SamplingDefaults } from '../core/sampling.ts';
import type { Command, Report } from '../model-process/protocol.ts';
import type { ProviderInfo, ProviderWish } from '../model-process/provider-info.ts';

/** What an engine process is started with. */
export interface LoadOptions extends ProviderWish {
  readonly modelPath: string;
  readonly cacheDir: string;
  /** Used where `cacheDir` must not be written to. */
  readonly fallbackCacheDir?: string;
  /** Undefined: the process chooses by the machine. */
  readonly threads?: number;
  readonly slots: number;
  /** Undefined: what the model allows, up to a default. */
  readonly contextTokens?: number;
  readonly queueLimit: number;
  /** Most memory for the KV of prompts that were computed. */
  readonly prefixCacheBytes: number;
  readonly spinning: boolean;
  /** Guess tokens of a sequence that decodes alone. */
  readonly speculation: boolean;
}

export interface EngineInfo extends ProviderInfo {
  readonly pid: number;
  readonly architecture: string;
  readonly vocabularySize: number;
  readonly layers: number;
  readonly contextTokens: number;
  readonly slots: number;
  readonly threads: number;
  /** KV memory if all of it is used. */
  readonly kvBytes: number;
  /** What the prefix cache may take on top. */
  readonly prefixCacheBytes: number;
  readonly chatTemplate: boolean;
  /** Storage types of the file that were changed on the way to 8 bit, such as `Q4_K`: empty when nothing was lost. */
  readonly requantised: readonly string[];
  readonly loadMs: number;
  readonly rssBytes: number;
}

/** Several steps in one, so that telling costs nothing. */
interface StepStatistics {
  readonly batchSize: number;
  readonly waiting: number;
  /** Mean of the decode batches. */
  readonly decodeMs: number;
  readonly prefillTokens: number;
  /** Prompt tokens copied instead of computed. */
  readonly cachedTokens: number;
  /** Tokens guessed and checked, and those among them that were drawn. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  /** What the prefix cache holds now. */
  readonly prefixCacheBytes: number;
}

/** A request as JSON can carry it; the engine does not need the original bytes. */
export interface WireGenerateRequest extends Omit<GenerateRequest, 'wire' | 'sampling'> {
  readonly sampling: Omit<ResolvedSampling, 'logitBias'> & {
    readonly logitBias: readonly (readonly [number, number])[];
  };
}

interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status: number;
  readonly param?: string;
  readonly retryAfterMs?: number;
  /** For logs. */
  readonly cause?: string;
}

type ErrorPart = Extract<Part, { type: 'error' }>;
export type WirePart = Exclude<Part, ErrorPart> | { readonly type: 'error'; readonly error: WireError };

export interface WireDelivery {
  readonly id: number;
  readonly parts: readonly WirePart[];
  /** Nothing follows; also the answer to `cancel`. */
  readonly ended: boolean;
}

export type ToEngine =
  | Command<LoadOptions>
  | { readonly type: 'submit'; readonly id: number; readonly request: WireGenerateRequest }
  | { readonly type: 'cancel'; readonly id: number };

export type FromEngine =
  | Report<EngineInfo>
  /** Everything that one step gave. */
  | { readonly type: 'parts'; readonly deliveries: readonly WireDelivery[] }
  | { readonly type: 'stepped'; readonly statistics: StepStatistics };

/** What the engine works on: a request whose sampling is settled. */
export type EngineRequest = GenerateRequest & { readonly sampling: ResolvedSampling };

export function toWireRequest(
  request: GenerateRequest,
  defaults: Partial<SamplingDefaults> = {},
): WireGenerateRequest {
  const { wire: _, sampling, ...rest } = request;
  return {
    ...rest,
    sampling: { ...resolveSampling(sampling, defaults), logitBias: [...sampling.logitBias] },
  };
}

export function fromWireRequest(wire: WireGenerateRequest): EngineRequest {
  const { sampling, ...rest } = wire;
  return {
    ...rest,
    sampling: { ...sampling, logitBias: new Map(sampling.logitBias) },
    wire: { dialect: 'openai', path: '', body: Buffer.alloc(0) },
  };
}

export function toWirePart(part: Part): WirePart {
  if (part.type !== 'error') return part;
  const { code, message, status, param, retryAfterMs, cause } = part.error;
  return {
    type: 'error',
    error: {
      code,
      message,
      status,
      ...(param === undefined ? {} : { param }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(cause === undefined
        ? {}
        : { cause: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) }),
    },
  };
}

export function fromWirePart(part: WirePart): Part {
  if (part.type !== 'error') return part;
  const { code, ...options } = part.error;
  return { type: 'error', error: new AppError(code, options) };
}
