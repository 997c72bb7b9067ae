import cluster, { type Worker } from 'node:cluster';
import type { FromWorker, ToWorker } from './worker-messages.ts';

const FIRST_RESTART_MS = 200;
const LONGEST_RESTART_MS = 30_000;
/** A worker that has run for this long has shown that it can. */
const HEALTHY_MS = 60_000;

const PING_MS = 2_000;
/**
 * Nothing in a gateway blocks its event loop for a hundredth of this. Counted in pings, so that a suspended machine
 * does not look like a hung worker.
 */
const MOST_UNANSWERED_PINGS = 5;

export interface WorkersOptions {
  readonly count: number;
  /** What a new worker is told first. */
  readonly startMessage: () => ToWorker;
  readonly onMessage: (worker: Worker, message: FromWorker) => void;
  /** A worker ended by itself; the next one is started after `restartMs`. */
  readonly onLost: (worker: Worker, how: string, restartMs: number) => void;
}

/** Keeps `count` worker processes running until `stop`. */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #exits = new Map<Worker, Promise<void>>();
  readonly #unanswered = new Map<Worker, number>();
  #crashes = 0;
  #restarts = 0;
  #stopping = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
    for (let i = 0; i < options.count; i++) this.#fork();
    setInterval(() => this.#ping(), PING_MS).unref();
  }

  get restarts(): number {
    return this.#restarts;
  }

  get running(): readonly Worker[] {
    return [...this.#exits.keys()];
  }

  send(worker: Worker, message: ToWorker): void {
    if (worker.isConnected()) worker.send(message);
  }

  broadcast(message: ToWorker, except?: Worker): void {
    for (const worker of this.running) if (worker !== except) this.send(worker, message);
  }

  /** Lets all of them finish; kills those that take longer. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.broadcast({ type: 'stop' });
    const deadline = setTimeout(() => this.kill(), timeoutMs);
    await Promise.all(this.#exits.values());
    clearTimeout(deadline);
  }

  /** Ends all of them at once. */
  kill(): void {
    this.#stopping = true;
    for (const worker of this.running) worker.process.kill('SIGKILL');
  }

  #fork(): void {
    const { startMessage, onMessage } = this.#options;
    const worker = cluster.fork();
    const startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#exits.set(worker, promise);
    worker.on('online', () => this.send(worker, startMessage()));
    worker.on('message', (message: FromWorker) => {
      // It is watched from its first word on: starting may take long.
      this.#unanswered.set(worker, 0);
      onMessage(worker, message);
    });
    // Without a listener a broken pipe to a dying worker would end the primary.
    worker.on('error', () => {});
    worker.once('exit', (code, signal) => {
      const hung = (this.#unanswered.get(worker) ?? 0) > MOST_UNANSWERED_PINGS;
      this.#exits.delete(worker);
      this.#unanswered.delete(worker);
      resolve();
      if (this.#stopping) return;
      const how = hung ? 'it said nothing any more' : (signal ?? `exit code ${code}`);
      this.#replace(worker, how, performance.now() - startedAtMs);
    });
  }

  #ping(): void {
    for (const [worker, unanswered] of this.#unanswered) {
      this.#unanswered.set(worker, unanswered + 1);
      if (unanswered < MOST_UNANSWERED_PINGS) this.send(worker, { type: 'ping' });
      else worker.process.kill('SIGKILL');
    }
  }

  #replace(worker: Worker, how: string, ranMs: number): void {
    if (ranMs >= HEALTHY_MS) this.#crashes = 0;
    const restartMs = Math.min(LONGEST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.min(this.#crashes, 20));
    this.#crashes++;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#restarts++;
      this.#fork();
    }, restartMs);
    this.#timers.add(timer);
    this.#options.onLost(worker, how, restartMs);
  }
}
