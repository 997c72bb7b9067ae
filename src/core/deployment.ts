import type { Backend } from './backend.ts';
import type { Encoder } from './encoder.ts';

/** What whoever runs a deployment charges. */
export interface Price {
  /** USD per million tokens. */
  readonly inputUsdPerMTok: number;
  readonly cachedInputUsdPerMTok: number;
  readonly outputUsdPerMTok: number;
  readonly usdPerRequest?: number | undefined;
  /** Of the prompt. */
  readonly usdPerImage?: number | undefined;
  readonly usdPerAudioSecond?: number | undefined;
}

/** A deployment on trial, of one configuration entry: all members of its upstream are tried as one. */
export interface Canary {
  /** `upstream/model` or `engine/engine`. */
  readonly id: string;
  /** Of the model's requests, 0 to 1. */
  readonly share: number;
  /** How much more often than the other deployments it may fail, 0 to 1. */
  readonly maxErrorRate: number;
  /** How many times as long as at the others a reply may take to begin. */
  readonly maxTtftRatio: number;
  /** It is not judged before it has had this many requests. */
  readonly minRequests: number;
}

/** One place where a public model is served. */
export interface Deployment {
  /** Unique: `backend/model`. */
  readonly id: string;
  /** What generates, or what encodes: `kind` tells. */
  readonly backend: Backend | Encoder;
  /** The model's name at the backend. */
  readonly model: string;
  readonly region: string | undefined;
  readonly privacy: 'local' | 'private' | 'public';
  readonly price: Price | undefined;
  /** Largest prompt + output, if known. */
  readonly contextTokens: number | undefined;
  /** What its machine costs, where there is no price per token. */
  readonly machineUsdPerHour?: number | undefined;
  /** 0 to 1, as the operator judges. Undefined: 1. */
  readonly quality?: number | undefined;
  /** How large its share of the requests is, against those of others, where a policy goes by that. Undefined: 1. */
  readonly weight?: number | undefined;
  readonly canary?: Canary | undefined;
}

/** One whose backend is of a kind. */
export type DeploymentOf<B extends Deployment['backend']> = Deployment & { readonly backend: B };

/** A name that clients ask for. */
export interface PublicModel {
  readonly name: string;
  readonly deployments: readonly Deployment[];
  /** Unix seconds. */
  readonly createdAtS: number;
}
