import type { AppError } from '../core/error.ts';
import type { Part } from '../core/part.ts';
import type { PartSource } from '../core/part-source.ts';
import { PartStream } from './part-stream.ts';

export interface EngineRunOptions {
  /** Choices that will finish. */
  readonly choices: number;
  /** Tells the engine that nobody wants the rest. Called at most once. */
  readonly cancel: () => void;
}

/** One request at the engine, seen from the gateway. */
export class EngineRun {
  /** Resolves to the parts once the reply has begun; rejects if it fails before that. */
  readonly begun: Promise<PartSource>;
  /** Resolves when nothing more will come, whatever the reason. */
  readonly over: Promise<void>;
  readonly #stream: PartStream;
  readonly #begin: { resolve: (parts: PartSource) => void; reject: (error: AppError) => void };
  readonly #cancel: () => void;
  #openChoices: number;
  readonly #settle: () => void;
  #state: 'waiting' | 'running' | 'over' = 'waiting';

  constructor({ choices, cancel }: EngineRunOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<PartSource>();
    this.begun = promise;
    this.#begin = { resolve, reject };
    const over = Promise.withResolvers<void>();
    this.over = over.promise;
    this.#settle = over.resolve;
    this.#openChoices = choices;
    this.#cancel = cancel;
    this.#stream = new PartStream(() => this.#leave());
  }

  /** Nothing has come yet. */
  get waiting(): boolean {
    return this.#state === 'waiting';
  }

  /** Choices that still take the engine's time. */
  get openChoices(): number {
    return this.#openChoices;
  }

  deliver(parts: readonly Part[]): void {
    for (const part of parts) {
      if (part.type === 'finish') this.#openChoices--;
      if (part.type === 'error') this.fail(part.error);
    }
    if (this.#state === 'over' || parts.length === 0) return;
    this.#stream.push(parts);
    if (this.#state !== 'waiting') return;
    this.#state = 'running';
    this.#begin.resolve(this.#stream);
  }

  end(): void {
    this.#state = 'over';
    this.#stream.end();
    this.#settle();
  }

  fail(error: AppError): void {
    if (this.#state === 'over') return;
    if (this.#state === 'waiting') this.#begin.reject(error);
    else this.#stream.push([{ type: 'error', error }]);
    this.end();
  }

  /** The caller wants no more. */
  abort(error: AppError): void {
    if (this.#state === 'over') return;
    this.fail(error);
    this.#cancel();
  }

  #leave(): void {
    if (this.#state === 'over') return;
    this.end();
    this.#cancel();
  }
}
