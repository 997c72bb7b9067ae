import { z } from 'zod';
import { POLICIES, type PolicyName } from '../routers/policies.ts';
import { milliseconds, name, positive } from './primitives.ts';
import { rates } from './rates.ts';

const share = z.number().min(0).max(1);

const price = z.strictObject({
  inputUsdPerMTok: z.number().min(0),
  cachedInputUsdPerMTok: z.number().min(0).optional(),
  outputUsdPerMTok: z.number().min(0),
  usdPerRequest: z.number().min(0).optional(),
  /** Of the prompt. */
  usdPerImage: z.number().min(0).optional(),
  usdPerAudioSecond: z.number().min(0).optional(),
});

/** A deployment on trial: it gets a share of the requests, and nothing more once it does worse than the others. */
const canary = z.strictObject({
  /** Of the model's requests; of its sessions, where requests belong to some. Others stay away while other deployments are ready. */
  share,
  /** It is rolled back when it is sure to fail more often than the others by more than this, … */
  maxErrorRate: share.default(0.05),
  /** … or when its replies are sure to take more than this many times as long to begin, … */
  maxTtftRatio: z.number().min(1).default(1.5),
  /** … and it has had this many requests. */
  minRequests: positive.default(50),
});

const deployment = z
  .strictObject({
    upstream: name.optional(),
    engine: name.optional(),
    /** The model's name at the upstream; default: the public name. */
    model: z.string().min(1).optional(),
    price: price.optional(),
    contextTokens: positive.optional(),
    /** What a machine of your own costs, for deployments without a price per token. */
    machineUsdPerHour: z.number().min(0).optional(),
    /** How good its replies are, as you judge: 0 to 1. Default: 1. */
    quality: share.optional(),
    /** Of the policy `weighted`: its share beside the others'. Default: 1. */
    weight: z.number().min(0).optional(),
    canary: canary.optional(),
  })
  .refine((d) => (d.upstream === undefined) !== (d.engine === undefined), {
    message: 'needs exactly one of `upstream` and `engine`',
  });

/** Those of `routers/policies.ts`. */
const POLICY_NAMES = Object.keys(POLICIES) as PolicyName[];

export const model = z.strictObject({
  name,
  /** How requests are spread over the deployments. */
  policy: z.enum(POLICY_NAMES).default('balanced'),
  /** What `balanced` weighs against each other, in units of the time to first token that is aimed at. */
  weights: z
    .strictObject({
      /** Of the load that a request adds. */
      latency: z.number().min(0).default(1),
      /** Of the time that its output takes. */
      output: z.number().min(0).default(0.02),
      /** Of a US dollar: 100 makes one cent as bad as missing the aim by its whole length. */
      cost: z.number().min(0).default(100),
      /** Of the whole range of quality. */
      quality: z.number().min(0).default(1),
    })
    .prefault({}),
  /** What a request aims at unless it says otherwise. */
  slo: z
    .strictObject({
      ttftMs: milliseconds.default(2_000),
      /** Added for every token of the prompt: nobody expects a book to be read at once. */
      ttftMsPerPromptToken: z.number().min(0).default(0.1),
      tpotMs: milliseconds.default(50),
    })
    .prefault({}),
  /** For all callers together; each may have limits of its own. */
  limits: rates.optional(),
  /** Share of the requests that go elsewhere, in the same privacy class, to learn. */
  exploration: share.default(0.01),
  /**
   * Requests at least this difficult (0: any, 1: hardly any) need a deployment of at least this `quality`; the
   * others go to deployments of less, and to the rest while none of those has room or answers. Every decision tells
   * its difficulty. Default: all may go to any.
   */
  tiers: z
    .strictObject({
      threshold: share.default(0.5),
      quality: share,
      /** What judges: what can be counted in a request, or what `encoder` makes of its question. A threshold is for one of them. */
      classifier: z.enum(['features', 'embedding']).default('features'),
      /** An engine with the model all-minilm-l6-v2, whose embeddings the weights were learnt from. */
      encoder: name.optional(),
      /** A request waits this long to be judged by its embedding; after that it is judged by what can be counted. */
      timeoutMs: milliseconds.default(100),
    })
    .refine((tiers) => (tiers.classifier === 'embedding') === (tiers.encoder !== undefined), {
      message: '`classifier: embedding` needs an `encoder`, and only that',
    })
    .optional(),
  /** The loosest class of deployment that may see what is asked of this model. Clients can only be stricter. */
  privacy: z.enum(['local', 'private', 'public']).default('public'),
  /** The only regions that may; default: any. */
  regions: z.array(z.string().min(1)).min(1).optional(),
  /**
   * Ask a second deployment when the first token of a stream, or a whole reply, takes longer than 95 of 100 do: at most for a
   * twentieth of the requests. Both may be billed.
   */
  hedge: z.boolean().default(false),
  /**
   * A share of the requests is sent here, too, once they are on their way, and the replies are thrown away: to see
   * how a deployment copes with real work. What may not go there is never sent. Whoever runs it may bill it; clients
   * are not billed.
   */
  shadow: z
    .strictObject({
      deployment: deployment.refine((one) => one.canary === undefined, { message: 'cannot be a `canary`' }),
      share: share.default(0.1),
      /** Copies beyond it are not sent. */
      maxInFlight: positive.default(4),
    })
    .optional(),
  deployments: z
    .array(deployment)
    .min(1)
    .refine((all) => all.some((one) => one.canary === undefined), {
      message: 'needs one without `canary`, which the others are compared with',
    })
    .refine((all) => all.reduce((sum, one) => sum + (one.canary?.share ?? 0), 0) <= 1, {
      message: 'the shares of `canary` add up to more than 1',
    }),
});

export type ModelConfig = z.infer<typeof model>;
export type DeploymentConfig = ModelConfig['deployments'][number];
