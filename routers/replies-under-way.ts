/** Older ones have slack enough that nobody has to look at them. */
const MOST_JUDGED = 64;
/** Of what a token is seen to take: the rest was lost to prompts that were read in between. */
const UNDISTURBED = 0.8;

interface Reply {
  readonly key: object;
  readonly beganAtMs: number;
  /** Of `#readMs`, when it began. */
  readonly readMs: number;
}

/** A prompt that may be sent to a deployment. */
export interface NextPrompt {
  readonly nowMs: number;
  /** Prompt work that is there already. */
  readonly queuedMs: number;
  readonly ownMs: number;
  /** Expected of a token of a reply there. */
  readonly tpotMs: number;
  readonly tpotAimMs: number;
  /** Expected of a reply. */
  readonly outputTokens: number;
}

/** The replies under way at a deployment, and what prompts take from them: while one is read, no token is drawn. */
export class RepliesUnderWay {
  readonly #oldestFirst: Reply[] = [];
  /** Of all prompts read there so far. */
  #readMs = 0;

  get count(): number {
    return this.#oldestFirst.length;
  }

  /** @param promptMs What its prompt took, which the others have lost. */
  begin(key: object, promptMs: number, nowMs: number): void {
    this.#readMs += promptMs;
    this.#oldestFirst.push({ key, beganAtMs: nowMs, readMs: this.#readMs });
  }

  end(key: object): void {
    const at = this.#oldestFirst.findIndex((reply) => reply.key === key);
    if (at >= 0) this.#oldestFirst.splice(at, 1);
  }

  /**
   * How many replies are expected to miss the aim of their pace for a prompt that is read now.
   *
   *   slack    = tokens drawn · aim − age      tokens drawn = (age − prompts read meanwhile) / pace
   *   lacking  = what the prompt takes beyond the slack that the queue leaves
   *   misses   = lacking / (aim − pace) / output      tokens until it is made up for; any may be the last
   *
   * So long replies lose nothing to a prompt, and those that have just begun, or were disturbed already, are spared.
   *
   * @param waiting Replies that have yet to begin, and will have no slack when they do.
   */
  endangeredBy(prompt: NextPrompt, waiting: number): number {
    const { nowMs, queuedMs, ownMs, tpotAimMs, outputTokens } = prompt;
    const paceMs = UNDISTURBED * prompt.tpotMs;
    let lackingMs = waiting * ownMs;
    const first = Math.max(0, this.count - MOST_JUDGED);
    for (let i = this.count - 1; i >= first; i -= 1) {
      const { beganAtMs, readMs } = this.#oldestFirst[i]!;
      const ageMs = nowMs - beganAtMs;
      const decodedMs = Math.max(0, ageMs - (this.#readMs - readMs));
      const slackMs = (decodedMs * tpotAimMs) / paceMs - ageMs - queuedMs;
      lackingMs += Math.min(ownMs, Math.max(0, ownMs - slackMs));
    }
    const regainedMs = Math.max(MIN_REGAINED * tpotAimMs, tpotAimMs - paceMs);
    return Math.min(waiting + this.count, lackingMs / (regainedMs * Math.max(MIN_OUTPUT, outputTokens)));
  }
}

/** Of the aim, per token, however slow a deployment is. */
const MIN_REGAINED = 0.1;
const MIN_OUTPUT = 10;
