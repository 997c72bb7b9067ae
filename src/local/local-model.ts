import type { EngineConfig } from '../../config/engine.ts';
import type { BackendHealth } from '../core/backend.ts';
import { AppError } from '../core/error.ts';
import type { LocalModelChanged } from '../core/event.ts';
import { type Clock, pause, SYSTEM_CLOCK } from '../model-process/clock.ts';
import { residentBytes } from '../model-process/process-memory.ts';
import { abortable } from './abortable.ts';
import { awaitRoom } from './await-room.ts';
import { type Engine, mostBytes } from './engine-facts.ts';
import { IdleWatch } from './idle-watch.ts';
import type { LoadReason, LocalModelOptions, LocalModelState, UnloadReason } from './local-model-options.ts';
import { NoRoomError, type Resident } from './memory-budget.ts';
import { type MemoryEstimate, sizeText } from './memory-estimate.ts';
import { settingDoubts } from './setting-doubts.ts';

/** How much more than expected a process may take where the configuration does not say. */
const LIMIT_FACTOR = 2;
const LIMIT_EXTRA_BYTES = 512 * 2 ** 20;
const DRAIN_POLL_MS = 50;
/** When to ask again for a model that found no room. */
const NO_ROOM_RETRY_MS = 5_000;

/**
 * A model that a process of this machine serves, or could serve:
 *
 *     unloaded ──start, request, operator──▶ loading ──▶ ready ⇄ failed (its supervisor starts it again)
 *         ▲                                     │          │
 *         └───── process gone ◀── unloading ◀───┴──────────┴── idle for too long, room for another, operator
 *
 * Requests for a model that is being loaded wait for it, and the next request loads one that is not in memory: unless an operator
 * has taken it out, and the configuration does not have it come and go.
 */
export class LocalModel<E extends Engine = Engine> implements Resident {
  readonly name: string;
  readonly #options: LocalModelOptions<E>;
  readonly #clock: Clock;
  #settings: EngineConfig;
  #engine: E | undefined;
  /** It finishes what it has begun. */
  #leaving: { readonly engine: E; readonly gone: Promise<void> } | undefined;
  #loading: Promise<void> | undefined;
  /** Why there is no engine. */
  #absence: { readonly state: 'unloaded' | 'failed'; readonly detail: string };
  /** An operator has taken it out of memory, and has to bring it back. */
  #held = false;
  #estimate: MemoryEstimate | undefined;
  /** By how much a guessed budget is exceeded. */
  #overBytes = 0;
  #waiting = 0;
  #lastRequestMs: number | undefined;
  readonly #idle: IdleWatch;
  #closed = false;

  constructor(options: LocalModelOptions<E>) {
    this.name = options.name;
    this.#options = options;
    this.#settings = options.settings;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#idle = new IdleWatch(this.#clock, () => this.#isBusy);
    this.#absence = { state: 'unloaded', detail: 'the first request loads it' };
  }

  get settings(): EngineConfig {
    return this.#settings;
  }

  /** The engine that gets the requests, if one is in memory. */
  get engine(): E | undefined {
    return this.#engine;
  }

  get state(): LocalModelState {
    if (this.#engine === undefined)
      return this.#loading ? 'loading' : this.#leaving ? 'unloading' : this.#absence.state;
    const { state } = this.#engine.health();
    return state === 'ready' ? 'ready' : state === 'starting' ? 'loading' : 'failed';
  }

  /** Monotonic milliseconds. */
  get lastRequestMs(): number | undefined {
    return this.#lastRequestMs;
  }

  get residentBytes(): number | undefined {
    const pid = (this.#engine ?? this.#leaving?.engine)?.pid;
    return pid === undefined ? undefined : residentBytes(pid);
  }

  /** What it may come to take: as measured, with all of its KV memory and its prompt cache in use; before that, as estimated. */
  get expectedBytes(): number {
    const facts = (this.#engine ?? this.#leaving?.engine)?.info();
    return facts === undefined ? (this.#estimate?.totalBytes ?? 0) : mostBytes(facts);
  }

  get idleSinceMs(): number | undefined {
    return this.#idle.sinceMs;
  }

  /** The process is ended when it takes more. */
  get memoryLimitBytes(): number {
    const { expectedBytes } = this;
    if (this.#settings.memoryLimitBytes !== undefined) return this.#settings.memoryLimitBytes;
    return expectedBytes === 0
      ? this.#options.budget.limit.bytes
      : expectedBytes * LIMIT_FACTOR + LIMIT_EXTRA_BYTES;
  }

  /** Takes over what needs no new process. */
  configure({ load, keepAliveMs }: EngineConfig): void {
    const { keepAliveMs: _, ...rest } = this.#settings;
    this.#settings = { ...rest, load, ...(keepAliveMs === undefined ? {} : { keepAliveMs }) };
    this.#watchIdle();
  }

  /**
   * Brings it into memory, if it is not there. Resolves once it is ready.
   *
   * @param spare A model that may not be unloaded for it: the one that it will replace.
   * @throws NoRoomError; Error if the engine failed, which its supervisor goes on to start.
   */
  load(reason: LoadReason, spare?: Resident): Promise<void> {
    if (this.#closed) return Promise.reject(new AppError('shutting_down'));
    if (this.#engine !== undefined && this.#loading === undefined) {
      if (this.state === 'ready') return Promise.resolve();
      // An operator may know better than the supervisor's backoff.
      if (reason === 'operator') void this.unload(reason);
      else return Promise.reject(new Error(this.#engine.health().detail));
    }
    this.#held = false;
    this.#loading ??= this.#load(reason, spare).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /**
   * Makes sure of the memory for `load`, which does so itself otherwise. For a request, waits a while for busy models to become idle.
   *
   * @throws NoRoomError
   */
  async reserve(reason: LoadReason, spare?: Resident): Promise<void> {
    const { budget, estimate } = this.#options;
    if (budget.holds(this)) return;
    // At the start of the gateway nothing waits for an estimate where a guessed budget refuses nothing: what a model
    // takes is known once it is there.
    if (reason !== 'start' || budget.limit.configured) this.#estimate = await estimate();
    try {
      const options = { mayEvict: reason !== 'start', spare };
      const goOn = () => this.#waiting > 0 && !this.#closed;
      this.#overBytes =
        reason === 'request'
          ? await awaitRoom(budget, this, { ...options, clock: this.#clock, goOn })
          : await budget.admit(this, options);
    } catch (error) {
      if (error instanceof NoRoomError) {
        this.#absence = { state: 'failed', detail: error.message };
        this.#tell('refused', reason, error.message);
      }
      throw error;
    }
  }

  /** Gives it no new requests, lets the running ones finish, and ends its process. Resolves once that is gone. */
  async unload(reason: UnloadReason, detail: string = UNLOADED[reason]): Promise<void> {
    this.#absence = { state: 'unloaded', detail };
    if (reason === 'operator') this.#held = !this.#comesAndGoes;
    // A model on its way into memory cannot be stopped before it has a process.
    while (this.#engine === undefined && this.#loading !== undefined) await this.#loading.catch(() => {});
    const engine = this.#engine;
    if (engine !== undefined) {
      this.#idle.end();
      this.#engine = undefined;
      this.#leaving = { engine, gone: this.#leave(engine, reason, detail) };
    }
    await this.#leaving?.gone;
  }

  evict(inFavourOf: string): Promise<void> {
    return this.unload('room', `made room for ${inFavourOf}`);
  }

  /**
   * Does something with the engine, which is loaded first where it has to be. `work` has the engine count the request before it
   * first waits.
   *
   * @throws AppError `model_unavailable`, `overloaded`, `shutting_down`, the signal's reason, and what `work` throws.
   */
  async use<T>(signal: AbortSignal, work: (engine: E) => Promise<T>): Promise<T> {
    if (this.#closed) throw new AppError('shutting_down');
    this.#lastRequestMs = this.#clock.now();
    this.#idle.used();
    if (this.#engine !== undefined && this.#loading === undefined) return await work(this.#engine);
    if (this.#held) throw new AppError('model_unavailable', { cause: new Error(this.#absence.detail) });
    if (this.#waiting >= this.#settings.queueLimit) throw new AppError('overloaded', { retryAfterMs: 1_000 });
    this.#waiting++;
    let done: Promise<T>;
    try {
      await abortable(this.load('request'), signal);
      if (this.#engine === undefined) throw new Error('it was unloaded meanwhile');
      done = work(this.#engine);
    } catch (error) {
      if (signal.aborted || error instanceof AppError) throw error;
      const retryAfterMs = this.#engine?.health().retryAfterMs ?? NO_ROOM_RETRY_MS;
      throw new AppError('model_unavailable', { retryAfterMs, cause: error });
    } finally {
      this.#waiting--;
    }
    return await done;
  }

  health(): BackendHealth {
    const health = this.#engine?.health();
    const leaving = this.#leaving?.engine.health().inFlight ?? 0;
    const inFlight = (health?.inFlight ?? 0) + leaving + this.#waiting;
    const queued = (health?.queued ?? 0) + this.#waiting;
    if (health !== undefined) return { ...health, inFlight, queued };
    if (this.#loading) return { state: 'starting', detail: 'waits for memory', inFlight, queued };
    return { state: this.#held ? 'down' : 'unloaded', detail: this.#absence.detail, inFlight, queued };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#idle.end();
    await Promise.all([this.#engine?.close(), this.#leaving?.engine.close()]);
    this.#options.budget.release(this);
  }

  /** By the configuration it comes and goes; then it does so for operators, too. */
  get #comesAndGoes(): boolean {
    return this.#settings.load === 'demand' || this.#settings.keepAliveMs !== undefined;
  }

  /** It is at work, or not there: in any case not idle. */
  get #isBusy(): boolean {
    return (
      this.#engine === undefined ||
      this.#loading !== undefined ||
      this.#waiting > 0 ||
      this.#engine.health().inFlight > 0
    );
  }

  async #load(reason: LoadReason, spare: Resident | undefined): Promise<void> {
    const { budget, create } = this.#options;
    const startedAtMs = this.#clock.now();
    await this.#leaving?.gone;
    await this.reserve(reason, spare);
    if (this.#closed) {
      budget.release(this);
      throw new AppError('shutting_down');
    }
    const engine = create(() => this.memoryLimitBytes);
    this.#engine = engine;
    this.#watchIdle();
    await engine.ready;
    if (this.#engine !== engine) throw new Error('it was unloaded meanwhile');
    this.#idle.used();
    const seconds = ((this.#clock.now() - startedAtMs) / 1000).toFixed(1);
    const over = this.#overBytes > 0 ? `, ${sizeText(this.#overBytes)} more than all models should take` : '';
    this.#tell('loaded', reason, `in ${seconds} s; may take ${sizeText(this.expectedBytes)}${over}`);
    const facts = engine.info();
    if (facts === undefined) return;
    for (const doubt of settingDoubts(this.name, this.#settings, facts)) this.#options.emit(doubt);
  }

  async #leave(engine: E, reason: UnloadReason, detail: string): Promise<void> {
    while (engine.health().inFlight > 0 && !this.#closed) await pause(this.#clock, DRAIN_POLL_MS);
    await engine.close();
    this.#leaving = undefined;
    this.#options.budget.release(this);
    this.#tell('unloaded', reason, detail);
  }

  #watchIdle(): void {
    const { keepAliveMs } = this.#settings;
    if (keepAliveMs === undefined || this.#engine === undefined) this.#idle.end();
    else this.#idle.start(keepAliveMs, () => void this.unload('idle', `idle for ${keepAliveMs} ms`));
  }

  #tell(change: LocalModelChanged['change'], reason: LoadReason | UnloadReason, detail: string): void {
    this.#options.emit({ type: 'local-model-changed', model: this.name, change, reason, detail });
  }
}

const UNLOADED = {
  idle: 'idle for too long',
  room: 'made room for another',
  operator: 'unloaded by an operator',
} as const satisfies Record<UnloadReason, string>;
