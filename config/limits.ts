import { z } from 'zod';
import { milliseconds, positive } from './primitives.ts';

export const limits = z.strictObject({
  /** Choices per request. */
  maxChoices: positive.default(16),
  maxTopLogprobs: z.number().int().min(0).default(20),
  /** Attempts after the first, only while nothing was delivered. */
  maxRetries: z.number().int().min(0).default(2),
  /** Requests of one model that may wait for a deployment to have room; the next one gets 503. */
  queueLength: z.number().int().min(0).default(256),
  /** A request that has waited for this long gets 503. */
  queueTimeoutMs: milliseconds.default(10_000),
  /**
   * A request that takes longer gets 504, or an error event if it has begun. `x-qianmen-timeout-ms` replaces it. Default:
   * none; queues and upstreams have limits of their own.
   */
  requestTimeoutMs: milliseconds.optional(),
  /** Set aside of tokens and money for a choice that does not say how long it may become; what was used is settled afterwards. */
  assumedOutputTokens: positive.default(1_024),
  /**
   * Gateways that serve the same callers. Without Redis, or while it is away, each of them, and each of its workers, gives out its
   * share of every limit only.
   */
  replicas: positive.default(1),
});
