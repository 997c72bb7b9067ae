import { appendFile, rename, stat } from 'node:fs/promises';
import type { GatewayEvent } from '../core/event.ts';
import { decisionView } from './decision-view.ts';

export interface DecisionFileOptions {
  readonly path: string;
  /** The file becomes `path.1` when it is larger. */
  readonly maxBytes?: number;
  readonly flushMs?: number;
  /** Nothing could be written, and this many decisions were lost; called once until it works again. */
  readonly onLost: (lost: number, cause: unknown) => void;
}

/** Lines beyond this are dropped rather than kept in memory: a disk that is full must not become a full memory. */
const MAX_WAITING_LINES = 20_000;

/** Keeps decisions in a file, one JSON object per line, written about once a second and never in a request's way. */
export class DecisionFile {
  readonly #options: Required<DecisionFileOptions>;
  readonly #timer: NodeJS.Timeout;
  #lines: string[] = [];
  #lost = 0;
  #failing = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: DecisionFileOptions) {
    this.#options = { maxBytes: 256 * 1024 * 1024, flushMs: 1_000, ...options };
    this.#timer = setInterval(() => void this.flush(), this.#options.flushMs);
    this.#timer.unref();
  }

  readonly observe = (event: GatewayEvent): void => {
    if (event.type !== 'request-settled' || event.decision === undefined) return;
    if (this.#lines.length >= MAX_WAITING_LINES) {
      this.#lost += 1;
      return;
    }
    this.#lines.push(`${JSON.stringify(decisionView({ ...event, decision: event.decision }, Date.now()))}\n`);
  };

  /** Resolves when everything seen so far is written, or lost. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #write(): Promise<void> {
    if (this.#lines.length === 0) return;
    const { path, maxBytes, onLost } = this.#options;
    const lines = this.#lines;
    this.#lines = [];
    try {
      const size = await stat(path).then(
        ({ size }) => size,
        () => 0,
      );
      if (size > maxBytes) await rename(path, `${path}.1`);
      await appendFile(path, lines.join(''));
      this.#failing = false;
    } catch (error) {
      this.#lost += lines.length;
      if (!this.#failing) onLost(this.#lost, error);
      this.#failing = true;
      this.#lost = 0;
    }
  }
}
