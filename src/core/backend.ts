import type { Observation } from './observation.ts';
import type { PartSource } from './part-source.ts';
import type { GenerateRequest, Requirement, WireRequest } from './request.ts';
import type { Usage } from './usage.ts';

/** Knows what of a reply counts. */
export interface UsageJudge {
  /** What counts in place of the usage that a reply has told so far. Undefined: just that. */
  instead(seen: Observation): Usage | undefined;
}

export interface RunOptions {
  /** The model's name at the backend, which may differ from the public one. */
  readonly model: string;
  /** Aborted when the client left or a deadline passed: the backend stops the work within a second. */
  readonly signal: AbortSignal;
  /** Whose request it is. Undefined: nobody's in particular. */
  readonly tenant?: string | undefined;
  /** How it ends says nothing about the backend's health: nobody waits for the reply. */
  readonly unjudged?: boolean;
  /** The client is told what counts, and not what cannot be true. Absent: whatever the server says. */
  readonly judge?: UsageJudge;
}

/** Where relayed bytes go. `write` returns false when the receiver is full; `drained` resolves once it is not, or has gone. */
export interface RelaySink {
  write(chunk: Uint8Array): boolean;
  drained(): Promise<void>;
  /** How much of what was written the receiver has not taken yet. Absent where that cannot be told. */
  readonly untakenBytes?: number | undefined;
  /** Cuts off a receiver that is too slow for others, which ends its request. */
  destroy?(): void;
}

/** Told when a reply waits for its client. */
export interface PauseListener {
  /** The client has no room for more, and the backend is not read until it has. */
  paused(): void;
  resumed(): void;
}

/** A reply whose bytes pass through untouched. Only successful replies become relays; the rest is thrown. */
export interface Relay {
  readonly status: number;
  readonly contentType: string;
  /** Where the whole length is known before the bytes are. */
  readonly contentLength?: number | undefined;
  /** All of it, if it has come already: then there is no need to pump it. */
  readonly whole?: Buffer | undefined;
  /** Filled by a tap beside the stream while it is pumped. */
  readonly observation: Observation;
  /** Set before it is pumped. */
  pauses?: PauseListener | undefined;
  /**
   * Moves every byte into the sink, in order, with backpressure. Resolves when the upstream ended properly; throws an
   * AppError when it broke off, sent an error event, or stayed silent too long. To be called once.
   */
  pump(sink: RelaySink): Promise<void>;
}

/** What a relay has to know of a request: the bytes say the rest. */
export interface RelayRequest {
  readonly id: string;
  readonly stream: boolean;
  /** The client asked for a usage chunk at the end of the stream. */
  readonly includeUsage: boolean;
  readonly wire: WireRequest;
  /** Only of a generation; a text that is only read has neither this nor the fields below. */
  readonly endpoint?: GenerateRequest['endpoint'];
  readonly stop?: Pick<GenerateRequest['stop'], 'maxTokens'>;
  readonly topLogprobs?: GenerateRequest['topLogprobs'];
  /** Choices for each prompt. */
  readonly n?: number;
  readonly prompts?: readonly unknown[];
}

export interface BackendHealth {
  /** `unloaded`: a local model that the next request brings into memory; it waits for that. */
  readonly state: 'ready' | 'starting' | 'down' | 'unloaded';
  /** Why, for operators: never sent to clients of /v1. */
  readonly detail?: string;
  /** Requests running or waiting inside the backend. */
  readonly inFlight: number;
  /** Of those, waiting for a first slot. 0 where the backend does not tell. */
  readonly queued: number;
  /** While not ready: when to ask again. */
  readonly retryAfterMs?: number;
  /** Absent where nothing guards the backend. */
  readonly breaker?: 'closed' | 'open' | 'half-open';
}

export interface ConcurrencyBounds {
  readonly initial: number;
  readonly max: number;
}

/**
 * Something that generates: a local engine or a remote server. Both verbs resolve once the reply has begun. What they
 * throw is an AppError; if it is `retryable`, nothing was delivered and another deployment may be tried.
 */
export interface Backend {
  readonly name: string;
  readonly kind: 'engine' | 'upstream';
  /** It relays, and lacks no capability that it knows of: it may be given requests whose prompt nobody has read. */
  readonly takesUnread?: boolean;
  /** How many requests to have inside it at once: found out by the gateway within these. Absent: it queues by itself. */
  readonly concurrency?: ConcurrencyBounds | undefined;
  /**
   * How many requests it works on at once. More queue inside it, first come, first served. That is as it should be
   * for one tenant; of several, none is let in beyond this ahead of the others.
   */
  readonly places?: number | undefined;
  /** The reply as typed parts. The iterator's `return` stops the work. */
  run(request: GenerateRequest, options: RunOptions): Promise<PartSource>;
  /** The reply as bytes in the request's own dialect; absent where the backend does not speak one. */
  relay?(request: RelayRequest, options: RunOptions): Promise<Relay>;
  /** The first requirement that this backend cannot meet, if any. */
  lacks(request: GenerateRequest): Requirement | undefined;
  health(): BackendHealth;
  close(): Promise<void>;
}
