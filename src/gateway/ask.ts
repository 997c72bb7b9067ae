import { type Media, NO_MEDIA } from '../../routers/request.ts';
import type { Caller, Limits } from '../core/caller.ts';
import type { Deployment } from '../core/deployment.ts';
import { costNanoUsd } from '../core/money.ts';
import { choiceCount, type GenerateRequest } from '../core/request.ts';
import type { Route } from './placement/route.ts';
import type { AdmissionAsk } from './request/admission.ts';
import { promptSizeBytes } from './request/prompt-size.ts';
import type { RecentReplies } from './request/recent-replies.ts';

/** What a request says of its size. */
export interface AskedSize {
  readonly promptBytes: number;
  /** The most that each choice may have; undefined: it does not say. */
  readonly outputTokens: number | undefined;
  /** Default: 1. */
  readonly choices?: number;
  /** Default: none. */
  readonly media?: Media;
}

export interface Assumptions {
  readonly bytesPerToken: number;
  /** Per choice, where the request does not say. */
  readonly assumedOutputTokens: number;
  /** What replies of the model have been like. */
  readonly replies: Pick<RecentReplies, 'usualMs' | 'mostOf'>;
}

/**
 * What has to be set aside for a request: the prompt as far as its bytes tell, and all the output that it may have,
 * at the dearest deployment. With a budget also the most that it may cost: no prompt has more tokens than bytes, and
 * a reply of no stated length is taken to be as long as any that the model has given the project of late.
 */
export function askFor(
  caller: Caller,
  { model: { name, deployments }, limits }: Route,
  { promptBytes, outputTokens, choices = 1, media = NO_MEDIA }: AskedSize,
  { bytesPerToken, assumedOutputTokens, replies }: Assumptions,
): AdmissionAsk {
  const promptTokens = Math.ceil(promptBytes / bytesPerToken);
  const completionTokens = (outputTokens ?? assumedOutputTokens) * choices;
  const tokens = promptTokens + completionTokens;
  const nanoUsd = dearest(deployments, promptTokens, completionTokens, replies.usualMs, media);
  const ask = { caller, model: name, modelLimits: limits, tokens, nanoUsd };
  if (!hasBudget(ask)) return ask;
  const most = replies.mostOf(caller.projectId);
  const longest = outputTokens === undefined ? Math.max(completionTokens, most.tokens) : completionTokens;
  const mostNanoUsd = dearest(deployments, promptBytes, longest, most.ms, media);
  return { caller, model: name, modelLimits: limits, tokens, nanoUsd, mostNanoUsd };
}

/** What it costs at the deployment that charges most for it. */
function dearest(
  deployments: readonly Deployment[],
  promptTokens: number,
  completionTokens: number,
  durationMs: number,
  { images, audioSeconds }: Media,
): number {
  const usage = { promptTokens, completionTokens, cachedPromptTokens: 0, reasoningTokens: 0 };
  const service = { durationMs, images, audioSeconds };
  let nanoUsd = 0;
  for (const deployment of deployments) nanoUsd = Math.max(nanoUsd, costNanoUsd(deployment, usage, service));
  return nanoUsd;
}

/** Somebody's money is limited. */
export function hasBudget({
  caller: { limits },
  modelLimits,
}: Pick<AdmissionAsk, 'caller' | 'modelLimits'>): boolean {
  return (
    isBudget(limits.key) ||
    isBudget(limits.project) ||
    isBudget(limits.organization) ||
    (modelLimits !== undefined && isBudget(modelLimits))
  );
}

function isBudget({ nanoUsdPerDay, nanoUsdPerMonth }: Limits): boolean {
  return (nanoUsdPerDay ?? nanoUsdPerMonth) !== undefined;
}

/** Of a generation. */
export function sizeOf(request: GenerateRequest, media: Media): AskedSize {
  return {
    promptBytes: promptSizeBytes(request),
    outputTokens: request.stop.maxTokens,
    choices: choiceCount(request),
    media,
  };
}
