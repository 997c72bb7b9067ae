import type { Caller } from '../core/caller.ts';
import { costNanoUsd } from '../core/money.ts';
import type { GenerateRequest } from '../core/request.ts';
import type { AdmissionAsk } from './admission.ts';
import { promptSizeBytes } from './features.ts';
import type { Route } from './gateway.ts';
import { type Media, NO_MEDIA } from './media.ts';

/** What a request says of its size. */
export interface AskedSize {
  readonly promptBytes: number;
  /** Most that each choice may have; undefined: it does not say. */
  readonly outputTokens: number | undefined;
  /** Default: 1. */
  readonly choices?: number;
  /** Default: none. */
  readonly media?: Media;
}

export interface Assumptions {
  readonly bytesPerToken: number;
  /** Of a choice, where the request does not say. */
  readonly assumedOutputTokens: number;
}

/** Where a machine's time is paid for: nobody knows how long a request takes. */
const ASSUMED_MACHINE_MS = 30_000;

/** What has to be set aside for a request: the prompt as far as its bytes tell, all the output that it may have, at the dearest deployment. */
export function askFor(
  caller: Caller,
  { model: { name, deployments }, limits }: Route,
  { promptBytes, outputTokens, choices = 1, media = NO_MEDIA }: AskedSize,
  { bytesPerToken, assumedOutputTokens }: Assumptions,
): AdmissionAsk {
  const promptTokens = Math.ceil(promptBytes / bytesPerToken);
  const completionTokens = (outputTokens ?? assumedOutputTokens) * choices;
  const usage = { promptTokens, completionTokens, cachedPromptTokens: 0, reasoningTokens: 0 };
  const service = { durationMs: ASSUMED_MACHINE_MS, ...media };
  let nanoUsd = 0;
  for (const deployment of deployments) nanoUsd = Math.max(nanoUsd, costNanoUsd(deployment, usage, service));
  return { caller, model: name, modelLimits: limits, tokens: promptTokens + completionTokens, nanoUsd };
}

/** Of a generation. */
export function sizeOf(request: GenerateRequest, media: Media): AskedSize {
  const { n, prompts, stop } = request;
  return {
    promptBytes: promptSizeBytes(request),
    outputTokens: stop.maxTokens,
    choices: n * prompts.length,
    media,
  };
}
