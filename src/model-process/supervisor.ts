import type { BackendHealth } from '../core/backend.ts';
import { watchMemory } from './memory-watch.ts';
import type { ModelProcess } from './model-process.ts';
import type { Command, Report, SupervisorProtocol } from './protocol.ts';
import { describeProvider } from './provider-info.ts';
import type { SupervisorOptions } from './supervisor-options.ts';

/** What a client is told to wait while a first load is under way and nobody knows how long it takes. */
const LOAD_ESTIMATE_MS = 2_000;

type State = Exclude<BackendHealth['state'], 'unloaded'>;

/**
 * Keeps one model process running.
 *
 *     starting ──ready──▶ ready ──exit, silence──▶ down ──backoff──▶ starting
 *         └──────failed, exit, timeout──────────────▲
 *
 * The backoff doubles from `firstRestartMs` to `longestRestartMs`; a model file that cannot be used waits for the longest at
 * once, since only a new file helps.
 */
export class Supervisor<P extends SupervisorProtocol> {
  /** Settles at the first `ready` (resolves) or the first failure (rejects). */
  readonly ready: Promise<void>;
  readonly #options: SupervisorOptions<P>;
  readonly #settleReady: { resolve: () => void; reject: (error: Error) => void };
  #state: State = 'starting';
  #detail = '';
  #info: P['info'] | undefined;
  #child: ModelProcess<P['to'] | Command<P['load']>> | undefined;
  #closing: { readonly exited: () => void } | undefined;
  #closed: Promise<void> | undefined;
  #failure: { readonly detail: string; readonly permanent: boolean } | undefined;
  #crashes = 0;
  #readyAtMs = 0;
  #restartAtMs = 0;
  #lastLoadMs = LOAD_ESTIMATE_MS;
  #unansweredPings = 0;
  #cancelTimer: () => void = () => {};
  #endMemoryWatch: () => void = () => {};

  constructor(options: SupervisorOptions<P>) {
    this.#options = options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#settleReady = { resolve, reject };
    // It need not be awaited.
    promise.catch(() => {});
    this.#start();
  }

  get state(): State {
    return this.#state;
  }

  get detail(): string {
    return this.#detail;
  }

  get info(): P['info'] | undefined {
    return this.#info;
  }

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Of the process that runs now, if one does. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get readySinceMs(): number | undefined {
    return this.#state === 'ready' ? this.#readyAtMs : undefined;
  }

  get unreadBytes(): number {
    return this.#child?.unreadBytes ?? 0;
  }

  /** When it is worth asking again; undefined while ready. */
  get retryAfterMs(): number | undefined {
    if (this.#state === 'ready') return undefined;
    const untilStartMs =
      this.#state === 'down' ? Math.max(0, this.#restartAtMs - this.#options.clock.now()) : 0;
    return Math.ceil(untilStartMs + this.#lastLoadMs);
  }

  send(message: P['to']): void {
    this.#child?.send(message);
  }

  /** Asks the process to end, then kills it. Resolves once it is gone. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#cancelTimer();
      this.#closing = { exited: resolve };
      this.#settleReady.reject(new Error(`Engine ${this.#options.name} was closed.`));
      const child = this.#child;
      if (child === undefined) resolve();
      else if (this.#state === 'ready') {
        child.send({ type: 'shutdown' });
        this.#cancelTimer = this.#options.clock.after(this.#options.times.shutdownMs, () => child.kill());
      } else child.kill();
      this.#become('down', 'closed');
    });
    return this.#closed;
  }

  #start(): void {
    const { spawn, load, clock, times } = this.#options;
    const startedAtMs = clock.now();
    this.#failure = undefined;
    this.#become('starting', 'loading the model');
    const child = spawn({
      onMessage: (message) => {
        this.#unansweredPings = 0;
        const report = message as Report<P['info']>;
        if (report.type === 'ready') {
          this.#lastLoadMs = clock.now() - startedAtMs;
          this.#loaded(report.info);
        } else if (report.type === 'failed') {
          this.#failure = report;
          this.#cancelTimer();
          // It ends by itself; this is in case it does not.
          this.#cancelTimer = clock.after(times.shutdownMs, () => child.kill());
        } else if (report.type !== 'pong' && !this.closing) this.#options.onMessage(message as P['from']);
      },
      onExit: (detail) => this.#exited(detail),
    });
    this.#child = child;
    child.send({ type: 'load', options: load });
    this.#watchMemory(child);
    this.#cancelTimer = clock.after(times.loadTimeoutMs, () => {
      this.#failure = { detail: `loading took longer than ${times.loadTimeoutMs} ms`, permanent: false };
      child.kill();
    });
  }

  #loaded(info: P['info']): void {
    this.#cancelTimer();
    if (this.closing) return;
    this.#info = info;
    this.#readyAtMs = this.#options.clock.now();
    const { architecture, contextTokens, threads, requantised = [] } = info;
    const changed =
      requantised.length === 0 ? '' : `, weights brought from ${requantised.join(', ')} to 8 bit`;
    const where = describeProvider(info);
    this.#become(
      'ready',
      `${architecture}, ${contextTokens} context tokens, ${threads} threads, ${where}${changed}`,
    );
    this.#settleReady.resolve();
    this.#watch();
  }

  #watch(): void {
    const { clock, times } = this.#options;
    this.#unansweredPings = 0;
    const tick = (): void => {
      if (this.#unansweredPings * times.pingMs >= times.silenceMs) {
        this.#failure = {
          detail: `the engine process said nothing for ${times.silenceMs} ms`,
          permanent: false,
        };
        this.#child?.kill();
        return;
      }
      this.#unansweredPings++;
      this.#child?.send({ type: 'ping' });
      this.#cancelTimer = clock.after(times.pingMs, tick);
    };
    tick();
  }

  #watchMemory(child: ModelProcess<P['to'] | Command<P['load']>>): void {
    const { memoryLimitBytes: limitBytes, clock } = this.#options;
    if (limitBytes === undefined) return;
    const onExceeded = (detail: string): void => {
      // A model that needs more than it may have while it loads will need it the next time, too.
      this.#failure = { detail, permanent: this.#state === 'starting' };
      child.kill();
    };
    this.#endMemoryWatch = watchMemory({ pid: child.pid, limitBytes, clock, onExceeded });
  }

  #exited(how: string): void {
    const { clock, times, onLost } = this.#options;
    this.#cancelTimer();
    this.#endMemoryWatch();
    this.#child = undefined;
    if (this.#closing !== undefined) {
      onLost();
      this.#closing.exited();
      return;
    }
    const detail = this.#failure?.detail ?? how;
    if (this.#state === 'ready' && clock.now() - this.#readyAtMs >= times.healthyMs) this.#crashes = 0;
    const backoffMs = Math.min(
      times.longestRestartMs,
      times.firstRestartMs * 2 ** Math.min(this.#crashes, 30),
    );
    const delayMs = this.#failure?.permanent ? times.longestRestartMs : backoffMs;
    this.#crashes++;
    this.#restartAtMs = clock.now() + delayMs;
    this.#become('down', detail);
    this.#settleReady.reject(new Error(`Engine ${this.#options.name}: ${detail}`));
    this.#cancelTimer = clock.after(delayMs, () => this.#start());
    onLost();
  }

  #become(state: State, detail: string): void {
    this.#state = state;
    this.#detail = detail;
    this.#options.emit({
      type: 'engine-state-changed',
      engine: this.#options.name,
      state: this.#closing ? 'closed' : state,
      detail,
      ...(state === 'ready' && this.#info?.provider !== undefined ? { provider: this.#info.provider } : {}),
    });
  }
}
