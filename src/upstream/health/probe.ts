import { isShortage } from '../../core/shortage.ts';
import type { Address } from '../http/address.ts';
import { patientTimer } from '../http/patient-timer.ts';
import { transportDetail } from '../http/transport-failure.ts';
import type { Health } from './health.ts';
import { type Answer, Inquiry } from './inquiry.ts';
import { parseServedModels } from './served-models.ts';

export interface ProbeOptions {
  readonly origin: string;
  readonly address: Address | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly health: Health;
  /** Milliseconds without any answer, to a probe or a request, after which the upstream counts as hung rather than busy. */
  readonly silentMs: number;
  /**
   * Told at every further unanswered probe once that time is over, with when it was sent: of what was sent later it
   * says nothing, as the upstream may be back. A refused one is answered.
   */
  readonly onSilent: (askedAtMs: number) => void;
  /** When something last came of a request that is running. */
  readonly activeAtMs: () => number;
  readonly now: () => number;
  /** Told every answer; the text is undefined where it is too long. */
  readonly onAnswer?: (answer: Answer) => void;
  /** Told what a good answer lists; undefined where it is no list. */
  readonly onModels?: (models: readonly string[] | undefined) => void;
}

/** While the upstream is down it is asked this often, so that it serves again within about a second of healing. */
const DOWN_INTERVAL_MS = 1_000;

/**
 * Asks the upstream now and then whether it lives, over a connection of its own, so that a probe never waits behind
 * requests. Any HTTP answer below 500 is a life sign. Keeps no process alive.
 *
 * @returns A function that stops it.
 */
export function startProbe(options: ProbeOptions): () => void {
  const { health, timeoutMs, origin, address, headers } = options;
  const inquiry = new Inquiry({ origin, address, headers, keepMs: 0 });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let aliveAtMs = options.now();

  const ask = async (): Promise<void> => {
    const over = new AbortController();
    patientTimer(timeoutMs, () => over.abort());
    const askedAtMs = options.now();
    try {
      const answer = await inquiry.get(options.path, over.signal);
      if (stopped) return;
      aliveAtMs = options.now();
      const { statusCode, text } = answer;
      options.onAnswer?.(answer);
      if (statusCode === 200) options.onModels?.(text === undefined ? undefined : parseServedModels(text));
      if (statusCode >= 500) {
        health.probeFailed({ detail: `the probe was answered with HTTP ${statusCode}`, mayBeBusy: true });
      } else {
        const refused = statusCode === 401 || statusCode === 403;
        health.probeSucceeded(refused ? `the upstream refuses the API key (HTTP ${statusCode})` : undefined);
      }
    } catch (error) {
      if (stopped || isShortage(error)) return;
      const timedOut = over.signal.aborted;
      const detail = timedOut
        ? `no answer to the probe within ${timeoutMs} ms`
        : transportDetail(error as Error);
      health.probeFailed({ detail, mayBeBusy: timedOut });
      // Who is told to stop refuses connections, and finishes what it has.
      const refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
      const heardAtMs = Math.max(aliveAtMs, health.answeredAtMs, options.activeAtMs());
      if (!refused && options.now() - heardAtMs > options.silentMs) options.onSilent(askedAtMs);
    }
  };

  const loop = async (): Promise<void> => {
    await ask();
    if (stopped) return;
    const down = health.snapshot().state !== 'ready';
    const waitMs = down ? Math.min(DOWN_INTERVAL_MS, options.intervalMs) : options.intervalMs;
    timer = setTimeout(() => void loop(), waitMs).unref();
  };
  void loop();

  return () => {
    stopped = true;
    clearTimeout(timer);
    inquiry.close();
  };
}
