import { createHmac } from 'node:crypto';
import type { BudgetAlarm } from './budget-alarms.ts';

export interface AlarmWebhookOptions {
  readonly url: string;
  readonly secret: string;
  /** An alarm could not be delivered, and this gateway has stopped trying. */
  readonly onGivenUp: (alarm: BudgetAlarm, reason: string) => void;
  readonly timeoutMs?: number;
  /** Doubles after every try. */
  readonly retryMs?: number;
  readonly maxTries?: number;
  /** Unix milliseconds. */
  readonly wall?: () => number;
}

const MAX_PAUSE_MS = 5 * 60_000;
/** A receiver that is away for a day must not fill the memory. */
const MAX_WAITING = 1_000;

/**
 * Delivers alarms to somebody's HTTP server, each with
 *
 * - `x-qianmen-delivery`: the alarm's name, the same in every try, so that a receiver can tell when it gets it twice
 * - `x-qianmen-timestamp`: seconds since 1970, when it was signed
 * - `x-qianmen-signature`: `sha256=` and in hexadecimal HMAC-SHA256 of the timestamp, a full stop and the body, with the secret as key
 *
 * Anything but a 2xx is tried again, with growing pauses, except for answers that say it never will be taken (4xx
 * other than 408, 425, 429).
 * Redirects are not followed.
 */
export class AlarmWebhook {
  readonly #options: Required<AlarmWebhookOptions>;
  readonly #closing = new AbortController();
  #waiting = 0;

  /** @throws Error if the URL is not https, and not on this machine */
  constructor(options: AlarmWebhookOptions) {
    const { protocol, hostname } = new URL(options.url);
    const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
    if (protocol !== 'https:' && !(protocol === 'http:' && loopback))
      throw new Error(
        'The webhook for alarms of budgets must be https: over http anybody on the way could read it.',
      );
    this.#options = { timeoutMs: 5_000, retryMs: 1_000, maxTries: 12, wall: Date.now, ...options };
  }

  /** Resolves to whether it has been delivered, or never will be; false: somebody should try again later. Never rejects. */
  async send(alarm: BudgetAlarm): Promise<boolean> {
    const { onGivenUp, retryMs, maxTries } = this.#options;
    const { signal } = this.#closing;
    if (this.#waiting >= MAX_WAITING) {
      onGivenUp(alarm, 'too many wait already');
      return false;
    }
    this.#waiting += 1;
    let failure: Failure | undefined = ENDED;
    for (let tries = 0; tries < maxTries && failure?.final === false; tries++) {
      if (tries > 0) await pause(Math.min(retryMs * 2 ** (tries - 1), MAX_PAUSE_MS), signal);
      failure = signal.aborted ? { ...failure, final: true } : await this.#try(alarm);
    }
    this.#waiting -= 1;
    if (failure !== undefined) onGivenUp(alarm, failure.reason);
    return failure === undefined || !signal.aborted;
  }

  /** What has not been delivered by now is given up. */
  close(): void {
    this.#closing.abort();
  }

  /** @returns Undefined: it has been taken */
  async #try(alarm: BudgetAlarm): Promise<Failure | undefined> {
    const { url, secret, timeoutMs, wall } = this.#options;
    const body = JSON.stringify(alarmBody(alarm));
    const timestamp = String(Math.floor(wall() / 1_000));
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]),
        headers: {
          'content-type': 'application/json',
          'user-agent': 'qianmen',
          'x-qianmen-delivery': alarmName(alarm),
          'x-qianmen-timestamp': timestamp,
          'x-qianmen-signature': `sha256=${signature(secret, timestamp, body)}`,
        },
        body,
      });
      await response.body?.cancel();
      const { status, ok } = response;
      return ok ? undefined : { reason: `it answered with status ${status}`, final: isFinal(status) };
    } catch (error) {
      const { message, cause } = error as Error;
      return { reason: cause instanceof Error ? cause.message : message, final: false };
    }
  }
}

interface Failure {
  readonly reason: string;
  /** Trying again does not help. */
  readonly final: boolean;
}

const ENDED: Failure = { reason: 'the gateway has ended', final: false };

/** Receivers compute it in the same way. */
export function signature(secret: string, timestamp: string, body: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
}

function alarmName({ subject, subjectId, periodName, share, budgetNanoUsd }: BudgetAlarm): string {
  return `budget-${subject}-${subjectId}-${periodName}-${share}-${budgetNanoUsd}`;
}

function alarmBody(alarm: BudgetAlarm) {
  const { subject, subjectId, period, periodName, share, budgetNanoUsd, spentNanoUsd, atMs } = alarm;
  return {
    type: 'budget.alarm',
    id: alarmName(alarm),
    created_at: Math.floor(atMs / 1_000),
    data: {
      subject,
      subject_id: subjectId,
      period,
      period_name: periodName,
      share,
      budget_nano_usd: budgetNanoUsd,
      spent_nano_usd: spentNanoUsd,
    },
  };
}

function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done);
  });
}
