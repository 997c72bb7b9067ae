/** Of `VirtualTime`, or of the real one. */
export interface Clock {
  sleep(ms: number): Promise<unknown>;
}

/** A model server: tells of every token of a reply that it makes. */
export interface ServerModel {
  run(promptTokens: number, outputTokens: number, onToken: () => void): void;
  /** It takes no more for now, and says so. Default: it never does. */
  readonly refuses?: boolean;
}

/** So many replies at once, each as fast as alone; the others wait for their turn. */
export class Places implements ServerModel {
  readonly #time: Clock;
  readonly #options: {
    readonly places: number;
    readonly ttftMs: number;
    readonly itlMs: number;
    readonly jitter: number;
  };
  readonly #random: () => number;
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(
    time: Clock,
    random: () => number,
    options: { places: number; ttftMs: number; itlMs: number; jitter: number },
  ) {
    this.#time = time;
    this.#random = random;
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#busy >= this.#options.places;
  }

  run(_promptTokens: number, outputTokens: number, onToken: () => void): void {
    const begin = () => void this.#reply(outputTokens, onToken);
    if (this.isFull) this.#waiting.push(begin);
    else begin();
  }

  async #reply(tokens: number, onToken: () => void): Promise<void> {
    const { ttftMs, itlMs, jitter } = this.#options;
    this.#busy += 1;
    await this.#time.sleep(ttftMs * Math.exp(jitter * (this.#random() - 0.5) * 2));
    onToken();
    for (let i = 1; i < tokens; i += 1) {
      await this.#time.sleep(itlMs);
      onToken();
    }
    this.#busy -= 1;
    this.#waiting.shift()?.();
  }
}

/** Has no line of its own: who finds no place is refused. */
export class NoLine extends Places {
  get refuses(): boolean {
    return this.isFull;
  }
}

interface Sequence {
  promptLeft: number;
  outputLeft: number;
  readonly onToken: () => void;
}

/**
 * Continuous batching with chunked prefill, as vLLM does it: every step decodes one token of each sequence and fills the rest of
 * its token budget with prompts, first come, first served; the more there is in a step the longer it takes.
 */
export class ContinuousBatching implements ServerModel {
  readonly #time: Clock;
  readonly #options: BatchingOptions;
  #running: Sequence[] = [];
  readonly #waiting: Sequence[] = [];
  #stepping = false;

  constructor(time: Clock, options: BatchingOptions) {
    this.#time = time;
    this.#options = options;
  }

  run(promptTokens: number, outputTokens: number, onToken: () => void): void {
    this.#waiting.push({ promptLeft: promptTokens, outputLeft: outputTokens, onToken });
    if (!this.#stepping) void this.#steps();
  }

  async #steps(): Promise<void> {
    const { sequences, stepTokens, stepMs, perSequenceMs, perPromptTokenMs } = this.#options;
    this.#stepping = true;
    while (this.#running.length + this.#waiting.length > 0) {
      while (this.#running.length < sequences && this.#waiting.length > 0)
        this.#running.push(this.#waiting.shift()!);
      const decoding = this.#running.filter(({ promptLeft }) => promptLeft === 0);
      let budget = stepTokens - decoding.length;
      let prompt = 0;
      const done: Sequence[] = [...decoding];
      for (const sequence of this.#running) {
        if (sequence.promptLeft === 0 || budget === 0) continue;
        const chunk = Math.min(budget, sequence.promptLeft);
        sequence.promptLeft -= chunk;
        budget -= chunk;
        prompt += chunk;
        if (sequence.promptLeft === 0) done.push(sequence);
      }
      await this.#time.sleep(stepMs + decoding.length * perSequenceMs + prompt * perPromptTokenMs);
      for (const sequence of done) {
        sequence.outputLeft -= 1;
        sequence.onToken();
      }
      this.#running = this.#running.filter(({ outputLeft }) => outputLeft > 0);
    }
    this.#stepping = false;
  }
}

/** Batches, too, but a prompt is read as a whole and alone: no sequence gets a token meanwhile. */
export class PromptsFirst implements ServerModel {
  readonly #time: Clock;
  readonly #options: Omit<BatchingOptions, 'stepTokens'>;
  #running: Sequence[] = [];
  readonly #waiting: Sequence[] = [];
  #stepping = false;

  constructor(time: Clock, options: Omit<BatchingOptions, 'stepTokens'>) {
    this.#time = time;
    this.#options = options;
  }

  run(promptTokens: number, outputTokens: number, onToken: () => void): void {
    this.#waiting.push({ promptLeft: promptTokens, outputLeft: outputTokens, onToken });
    if (!this.#stepping) void this.#steps();
  }

  async #steps(): Promise<void> {
    const { sequences, stepMs, perSequenceMs, perPromptTokenMs } = this.#options;
    this.#stepping = true;
    while (this.#running.length + this.#waiting.length > 0) {
      const next = this.#running.length < sequences ? this.#waiting.shift() : undefined;
      let served = this.#running;
      if (next === undefined) await this.#time.sleep(stepMs + served.length * perSequenceMs);
      else {
        await this.#time.sleep(stepMs + next.promptLeft * perPromptTokenMs);
        this.#running.push(next);
        served = [next];
      }
      for (const sequence of served) {
        sequence.outputLeft -= 1;
        sequence.onToken();
      }
      this.#running = this.#running.filter(({ outputLeft }) => outputLeft > 0);
    }
    this.#stepping = false;
  }
}

export interface BatchingOptions {
  /** At once. */
  readonly sequences: number;
  readonly stepTokens: number;
  readonly stepMs: number;
  readonly perSequenceMs: number;
  readonly perPromptTokenMs: number;
}

/** On a busy machine: every now and then all stands still for a while. */
export class Hiccups implements ServerModel {
  readonly #server: ServerModel;
  /** Resolves when it goes on. */
  #still: Promise<unknown> | undefined;

  /** @param everyMs @param forMs On average. */
  constructor(
    time: Clock,
    random: () => number,
    server: ServerModel,
    { everyMs, forMs }: { readonly everyMs: number; readonly forMs: number },
  ) {
    this.#server = server;
    const about = (ms: number) => -Math.log(1 - random()) * ms;
    const stand = async (): Promise<void> => {
      await time.sleep(about(everyMs));
      this.#still = time.sleep(about(forMs));
      await this.#still;
      this.#still = undefined;
      return stand();
    };
    void stand();
  }

  run(promptTokens: number, outputTokens: number, onToken: () => void): void {
    this.#server.run(promptTokens, outputTokens, () => {
      if (this.#still === undefined) onToken();
      else void this.#still.then(onToken);
    });
  }
}
