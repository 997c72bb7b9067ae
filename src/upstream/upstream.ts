import type {
  Backend,
  BackendHealth,
  ConcurrencyBounds,
  Relay,
  RelayRequest,
  RunOptions,
} from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { GenerateRequest, Requirement } from '../core/request.ts';
import { turnTimeMs } from '../core/turn-clock.ts';
import { type Secrets, secretsOf } from './errors/secrets.ts';
import { detailOf, outcomeOf } from './health/call-outcome.ts';
import { Health, type HealthCall } from './health/health.ts';
import { ListingNotice } from './health/listing-notice.ts';
import { watchLoad } from './health/load-watch.ts';
import { type ProbeOptions, startProbe } from './health/probe.ts';
import { ServedModels } from './health/served-models.ts';
import { addressText } from './http/address.ts';
import { Connections } from './http/connections.ts';
import { RequestHeads } from './http/request-heads.ts';
import { decodeReply } from './reply/decode-reply.ts';
import type { ReplyHost } from './reply/reply.ts';
import { stoppable } from './reply/stoppable.ts';
import { StreamReply } from './reply/stream-reply.ts';
import { WholeReply } from './reply/whole-reply.ts';
import { BodyKeys } from './request/body-keys.ts';
import { spliceBody } from './request/splice.ts';
import { refusesQuestion, UsageQuestion } from './request/usage-question.ts';
import { DEFAULT_TIMEOUTS, type UpstreamOptions, type UpstreamTimeouts } from './upstream-options.ts';

export interface UpstreamBackend extends Backend {
  /** What the server last said that it serves; undefined until it has, or where it does not tell. */
  readonly served: readonly string[] | undefined;
  /** Of the expected models, those that it does not list. */
  readonly missing: readonly string[];
  /** While true it takes no new requests; running ones finish. */
  drained: boolean;
  /** The models that the configuration wants from it. */
  expect(models: readonly string[]): void;
}

/** A server that speaks the OpenAI dialect (vLLM, SGLang, a cloud). Must be closed. */
export function createUpstream(options: UpstreamOptions): UpstreamBackend {
  return new Upstream(options);
}

/** What is the same in all questions to a server about itself. */
type Asking = Pick<ProbeOptions, 'origin' | 'address' | 'headers' | 'timeoutMs'>;

const UNJUDGED: HealthCall = { answered() {}, end() {} };

class Upstream implements UpstreamBackend {
  readonly name: string;
  readonly kind = 'upstream';
  readonly takesUnread: boolean;
  readonly concurrency: ConcurrencyBounds | undefined;
  readonly #capabilities: readonly Requirement['capability'][] | undefined;
  readonly #timeouts: UpstreamTimeouts;
  /** A whole reply's first byte comes with its last. */
  readonly #wholeTimeouts: UpstreamTimeouts;
  readonly #now: () => number;
  readonly #heads: RequestHeads;
  readonly #bodyKeys: BodyKeys;
  readonly #usageQuestion: UsageQuestion;
  readonly #cacheSalt: boolean;
  readonly #secrets: Secrets;
  readonly #connections: Connections;
  readonly #health: Health;
  readonly #models: ServedModels;
  readonly #stopProbe: () => void;
  readonly #stopLoads: (() => void) | undefined;
  drained = false;
  #closed = false;
  #inFlight = 0;

  constructor(options: UpstreamOptions) {
    const url = new URL(options.url);
    const { now = turnTimeMs } = options;
    const pathPrefix = url.pathname.replace(/\/+$/, '');
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#now = now;
    this.#timeouts = timeouts;
    this.#wholeTimeouts = { ...timeouts, firstByteMs: timeouts.totalMs };
    this.name = options.name;
    this.concurrency = options.concurrency && within(options.concurrency, options.maxConnections);
    this.#capabilities = options.capabilities;
    this.takesUnread = options.capabilities === undefined;
    this.#heads = new RequestHeads({ pathPrefix, host: url.host, apiKey: options.apiKey });
    this.#bodyKeys = new BodyKeys(options.withhold);
    this.#usageQuestion = new UsageQuestion(now, options.withhold?.includes('stream_options') === true);
    this.#cacheSalt = options.cacheSalt === true;
    const { address } = options;
    this.#secrets = secretsOf(url, options.apiKey, address && [addressText(address), address.host]);
    this.#connections = new Connections({
      origin: url.origin,
      address,
      connectMs: timeouts.connectMs,
      maxConnections: options.maxConnections,
      shortestLimitMs: Math.min(timeouts.firstByteMs, timeouts.idleMs, timeouts.totalMs),
      now,
    });
    this.#health = new Health({
      upstream: options.name,
      emit: options.emit,
      now,
      random: options.random ?? Math.random,
    });
    this.#models = new ServedModels((missing) =>
      options.emit({ type: 'upstream-models-missing', upstream: options.name, missing }),
    );
    const asking: Asking = {
      origin: url.origin,
      address: options.address,
      headers: {
        'user-agent': 'qianmen',
        ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` }),
      },
      timeoutMs: options.probe?.timeoutMs ?? 2_000,
    };
    this.#stopProbe = this.#startProbe(options, pathPrefix + (options.probe?.path ?? '/models'), asking);
    this.#stopLoads = options.loads && this.#watchLoads(options.loads, asking);
  }

  relay(request: RelayRequest, options: RunOptions): Promise<Relay> {
    return this.#start(request, options, !request.includeUsage);
  }

  async run(request: GenerateRequest, options: RunOptions): Promise<AsyncIterable<Part>> {
    const left = new AbortController();
    const signal = AbortSignal.any([options.signal, left.signal]);
    const reply = await this.#start(request, { ...options, signal }, false);
    return stoppable(decodeReply(reply, request), () => left.abort());
  }

  lacks(request: GenerateRequest): Requirement | undefined {
    const can = this.#capabilities;
    return can && request.requirements.find(({ capability }) => !can.includes(capability));
  }

  get served(): readonly string[] | undefined {
    return this.#models.served;
  }

  get missing(): readonly string[] {
    return this.#models.missing;
  }

  expect(models: readonly string[]): void {
    this.#models.expect(models);
  }

  health(): BackendHealth {
    const inFlight = this.#inFlight;
    if (this.drained) return { state: 'down', detail: 'drained by an operator', inFlight, queued: 0 };
    const health = { ...this.#health.snapshot(), inFlight, queued: 0 };
    const { missing } = this.#models;
    return missing.length === 0 ? health : { detail: `does not list ${missing.join(', ')}`, ...health };
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopProbe();
    this.#stopLoads?.();
    this.#connections.close();
  }

  #startProbe({ name, apiKey, emit, probe }: UpstreamOptions, path: string, asking: Asking): () => void {
    const url = asking.origin + path;
    const listing = new ListingNotice({ upstream: name, url, hasKey: apiKey !== undefined, emit });
    return startProbe({
      ...asking,
      path,
      intervalMs: probe?.intervalMs ?? 10_000,
      health: this.#health,
      silentMs: this.#timeouts.firstByteMs,
      // A reply that is not streamed has no first byte to wait for until it is complete: this is how its upstream is found hung.
      onSilent: (askedAtMs) =>
        this.#connections.failUnanswered(
          new AppError('upstream_timeout', {
            cause: new Error('the upstream answers nothing, not even probes'),
          }),
          askedAtMs,
        ),
      activeAtMs: () => this.#connections.watchdog.activeAtMs,
      now: this.#now,
      onAnswer: ({ statusCode, text }) => listing.answered(statusCode, text),
      onModels: (models) => this.#models.listed(models),
    });
  }

  #watchLoads({ intervalMs, onLoads }: NonNullable<UpstreamOptions['loads']>, asking: Asking): () => void {
    return watchLoad({ ...asking, intervalMs, onLoads: (read) => onLoads(this.name, read) });
  }

  /** Resolves when the reply has begun. */
  #start(
    request: RelayRequest,
    options: RunOptions,
    hideUsage: boolean,
    asksUsage = request.stream && this.#usageQuestion.isAsked,
  ): Promise<Relay> {
    const { model, signal, unjudged, judge } = options;
    if (this.#closed || this.drained)
      return Promise.reject(new AppError('model_unavailable', { nothingSent: true }));
    let body: readonly Buffer[];
    try {
      body = spliceBody(request.wire.body, {
        model,
        forceUsage: asksUsage,
        keys: this.#bodyKeys,
        maxTokens: request.stop?.maxTokens,
        isCompletion: request.endpoint === 'completion',
        tenant: this.#cacheSalt ? options.tenant : undefined,
      });
    } catch (error) {
      return Promise.reject(error);
    }
    const isOurs = asksUsage && !request.includeUsage;
    const host = this.#replyHost(signal, unjudged === true, (failure) =>
      isOurs && refusesQuestion(failure) ? this.#startUnasked(request, options, hideUsage) : undefined,
    );
    const { stream, endpoint, n = 1, prompts, topLogprobs } = request;
    const reply = stream
      ? new StreamReply(host, { hideUsage, choices: n * (prompts?.length ?? 1), judge })
      : new WholeReply(host, {
          isGeneration: endpoint !== undefined,
          hasLogprobs: topLogprobs !== undefined,
          judge,
        });
    let bodyBytes = 0;
    for (const piece of body) bodyBytes += piece.length;
    this.#connections.send({
      request: { head: this.#heads.write(request, bodyBytes), body, bodyBytes },
      limits: stream ? this.#timeouts : this.#wholeTimeouts,
      signal,
      reader: reply,
    });
    return reply.begun;
  }

  #startUnasked(request: RelayRequest, options: RunOptions, hideUsage: boolean): Promise<Relay> {
    const begun = this.#start(request, options, hideUsage, false);
    begun.then(
      () => this.#usageQuestion.rest(),
      () => {},
    );
    return begun;
  }

  #replyHost(signal: AbortSignal, unjudged: boolean, instead: ReplyHost['instead']): ReplyHost {
    const call = unjudged ? UNJUDGED : this.#health.begin();
    this.#inFlight += 1;
    return {
      secrets: this.#secrets,
      now: this.#now,
      answered: call.answered,
      instead,
      ended: (failure, status) => {
        this.#inFlight -= 1;
        if (failure === undefined) call.end('ok');
        else call.end(this.#isOver(signal) ? 'neutral' : outcomeOf(failure, status), detailOf(failure));
      },
    };
  }

  /** What still ran was ended on this side: by its signal, or by `close`. */
  #isOver(signal: AbortSignal): boolean {
    return signal.aborted || this.#closed;
  }
}

/** No more than have a connection: what waits for one is in a line that is fair to nobody, and looks as if the server was slow. */
function within({ initial, max }: ConcurrencyBounds, connections = max): ConcurrencyBounds {
  return { initial: Math.min(initial, connections), max: Math.min(max, connections) };
}
