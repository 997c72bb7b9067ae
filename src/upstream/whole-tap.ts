import { AppError } from '../core/error.ts';
import { newObservation, type Observation } from '../core/observation.ts';
import { skimObject } from './skim.ts';
import { asWire, choicesOf, errorOf, finishReasonOf, hasContent, usageOf, type Wire } from './wire-chunk.ts';

/** Up to this size a reply is kept by reference and read exactly; of larger ones only the end is. */
const KEPT_BYTES = 1024 * 1024;
const TAIL_BYTES = 64 * 1024;

const USAGE = Buffer.from('"usage":');

/** Watches a JSON reply go by and reads its usage and finish reasons at the end. */
export class WholeTap {
  readonly observation: Observation = newObservation();
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #cut = false;

  push(bytes: Buffer, readAtMs: number): void {
    // All tokens come at once: there is no time between them.
    this.observation.firstTokenAtMs ??= readAtMs;
    this.#pieces.push(bytes);
    this.#keptBytes += bytes.length;
    if (this.#keptBytes > KEPT_BYTES) {
      const kept = Buffer.concat(this.#pieces);
      this.#pieces = [Buffer.from(kept.subarray(kept.length - TAIL_BYTES))];
      this.#keptBytes = TAIL_BYTES;
      this.#cut = true;
    }
  }

  /** The body has ended. @returns Why it is not a reply, if it is not. */
  end(): AppError | undefined {
    const text = Buffer.concat(this.#pieces);
    this.#pieces = [];
    if (this.#cut) {
      this.#readTail(text);
      return undefined;
    }
    let reply: Wire;
    try {
      reply = asWire(JSON.parse(text.toString('utf8')));
    } catch {
      return new AppError('upstream_error', { cause: new Error('the reply is not complete JSON') });
    }
    const error = errorOf(reply);
    if (error !== undefined) {
      const detail = `an error with status 200: ${JSON.stringify(error).slice(0, 500)}`;
      return new AppError('upstream_error', { cause: new Error(detail) });
    }
    this.observation.usage = usageOf(reply);
    for (const choice of choicesOf(reply)) {
      if (hasContent(choice)) this.observation.contentEvents += 1;
      const reason = finishReasonOf(choice);
      if (reason !== undefined) this.observation.finishReasons.push(reason);
    }
    return undefined;
  }

  #readTail(tail: Buffer): void {
    this.observation.contentEvents += 1;
    const at = tail.lastIndexOf(USAGE);
    const usage = at < 0 ? undefined : skimObject(tail, at + USAGE.length);
    if (usage === undefined) return;
    try {
      const parsed: unknown = JSON.parse(tail.toString('utf8', usage.start, usage.end));
      this.observation.usage = usageOf({ usage: parsed });
    } catch {
      // Not the usage of the reply after all: it stays unknown.
    }
  }
}
