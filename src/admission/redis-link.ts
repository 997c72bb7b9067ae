import { Patience } from './patience.ts';
import type { RedisClient } from './redis-client.ts';
import { SCRIPTS, type Script } from './redis-scripts.ts';
import { type Flight, SendWindow } from './send-window.ts';

export interface RedisTimes {
  /** What an operation may take before it counts as failed. */
  readonly timeoutMs: number;
  /** Between signs of life of this gateway. */
  readonly heartbeatMs: number;
  /** This long after its last sign of life a gateway's requests no longer hold anything. */
  readonly leaseMs: number;
  /** The longest time between two looks whether Redis is back. */
  readonly retryMs: number;
}

export const DEFAULT_TIMES: RedisTimes = {
  timeoutMs: 90,
  heartbeatMs: 2_000,
  leaseMs: 10_000,
  retryMs: 250,
};

export interface RedisLinkOptions {
  readonly url: string;
  readonly times: RedisTimes;
  /** Redis answers, or does so again: what has to be done before it is used. Rejects if it could not be. */
  readonly onBack: () => Promise<void>;
  /** Redis is no longer asked, and why; undefined: it is again. */
  readonly onProblem: (problem: string | undefined) => void;
}

/** Of the time that an operation may take: an answer that took longer says that Redis has too much to do. */
const SLOW_SHARE = 1 / 3;
/** Operations that wait until they can be sent. */
const MOST_WAITING = 2_000;
/** Failures in a row after which nobody waits for Redis any more. */
const FAILURES = 3;

/**
 * One connection to Redis, and a breaker: after a few operations that failed or took too long it is left alone, and
 * checked on the side until it answers in time again.
 */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #patience: Patience;
  readonly #turns: ((flight: Flight | undefined) => void)[] = [];
  /** There from the start on. */
  #client: RedisClient | undefined;
  /** Anew, to whoever has that name now. */
  #connect: () => void = () => {};
  readonly #window: SendWindow;
  #failures = 0;
  #up = false;
  #closed = false;
  #problem: string | undefined;
  #watch: Promise<void> = Promise.resolve();
  #lastFailure: unknown = new Error('it does not answer');
  /** Why there was no connection, the last time that one could not be made or broke. */
  #disconnected: unknown;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#patience = new Patience(options.times.timeoutMs);
    this.#window = new SendWindow(options.times.timeoutMs * SLOW_SHARE);
  }

  get up(): boolean {
    return this.#up;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves once Redis is used, or will not be for now. */
  async start(): Promise<void> {
    const { url, times } = this.#options;
    // Most gateways have no Redis, and this is a fifth of what they would have to load.
    const { newRedisClient } = await import('./redis-client.ts');
    if (this.#closed) return;
    const onError = (error: unknown) => {
      this.#disconnected = error;
    };
    this.#connect = () => {
      this.#client?.destroy();
      this.#client = newRedisClient(url, times, onError);
      this.#client.connect().catch(() => {});
    };
    this.#connect();
    this.#watch = this.#untilBack();
    await Promise.race([this.#watch, pause(START_TIMEOUTS * times.timeoutMs)]);
    if (!this.#up) this.#say(`Redis cannot be used: ${this.#reasonOf(this.#lastFailure)}`);
  }

  /** @throws Error where Redis refuses, or does not answer in time; whether it has done it is then not known. */
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const isNext = this.#turns.length === 0 && this.#window.isOpen;
    const flight = isNext ? this.#window.sent() : await this.#turn();
    try {
      const reply = await this.#patience.for(this.#evaluate(script, keys, args));
      this.#failures = 0;
      return reply;
    } catch (error) {
      this.#failures += 1;
      if (this.#up && this.#failures >= FAILURES) this.#down(error);
      throw error;
    } finally {
      this.#land(flight);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#up = false;
    this.#endTurns();
    this.#client?.destroy();
    await this.#watch;
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [`${keys.length}`, ...keys, ...args];
    try {
      return await this.#send(['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await this.#send(['EVAL', script.text, ...rest]);
    }
  }

  async #send(command: readonly string[]): Promise<unknown> {
    if (this.#client === undefined) throw new Error('it has not been asked yet');
    return await this.#client.sendCommand(command);
  }

  #down(cause: unknown): void {
    this.#up = false;
    this.#say(`Redis cannot be used: ${this.#reasonOf(cause)}`);
    this.#endTurns();
    this.#watch = this.#untilBack();
  }

  /** A burst does not make Redis look slow: only what it has been sent is on its time. */
  async #turn(): Promise<Flight> {
    if (this.#turns.length >= MOST_WAITING) throw new Error('more is asked of it than it can answer');
    const flight = await new Promise<Flight | undefined>((resolve) => this.#turns.push(resolve));
    if (flight !== undefined && this.#up) return flight;
    if (flight !== undefined) this.#land(flight);
    throw new Error('it is no longer asked');
  }

  /** Places go to the next in turn, before anybody who comes after: a settlement must not overtake what it settles. */
  #land(flight: Flight): void {
    this.#window.answered(flight);
    while (this.#window.isOpen) {
      const next = this.#turns.shift();
      if (next === undefined) return;
      next(this.#window.sent());
    }
  }

  #endTurns(): void {
    for (const next of this.#turns.splice(0)) next(undefined);
  }

  #say(problem: string | undefined): void {
    if (this.#closed || problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }

  /** An operation without a connection only says that there is none. */
  #reasonOf(cause: unknown): string {
    const reason = this.#client?.isOffline(cause) ? (this.#disconnected ?? cause) : cause;
    return reason instanceof Error ? reason.message : String(reason);
  }

  async #untilBack(): Promise<void> {
    let waitMs = FIRST_RETRY_MS;
    while (!this.#up && !this.#closed) {
      await pause(waitMs);
      waitMs = Math.min(2 * waitMs, this.#options.times.retryMs);
      try {
        if (!this.#closed) await this.#tryAgain();
      } catch (error) {
        this.#lastFailure = error;
        if (!this.#closed && isDemoted(error)) this.#connect();
      }
    }
  }

  async #tryAgain(): Promise<void> {
    const { times, onBack } = this.#options;
    const startMs = performance.now();
    // It may take as long as it takes: a server that has stopped gets one question, not one every moment.
    await this.#send(['PING']);
    if (performance.now() - startMs > times.timeoutMs) throw new Error('it is slow');
    // Loaded beforehand, so that a first burst does not ask for them a thousand times.
    for (const { text } of Object.values(SCRIPTS)) await this.#send(['SCRIPT', 'LOAD', text]);
    await onBack();
    this.#failures = 0;
    this.#up = !this.#closed;
    this.#say(undefined);
  }
}

/**
 * The server has become a replica of another one, and keeps its connections. Whoever connects again may find that
 * other one behind the same address.
 */
function isDemoted(error: unknown): boolean {
  return error instanceof Error && /^(READONLY|MOVED|MASTERDOWN)\b/.test(error.message);
}

/** Before the first look whether Redis is there; then twice as long each time. */
const FIRST_RETRY_MS = 10;
/** How many operations' time the first connection may take. */
const START_TIMEOUTS = 10;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
