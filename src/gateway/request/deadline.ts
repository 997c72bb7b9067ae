import { AppError } from '../../core/error.ts';
import { offAbort, onAbort } from '../../core/on-abort.ts';

export interface Deadline {
  /** Aborted with the client's reason, or with `deadline_exceeded` when the time is over. */
  readonly signal: AbortSignal;
  /** The work is over, in time. */
  clear(): void;
}

/** Ties a client's signal to a time limit. */
export function withDeadline(client: AbortSignal, timeoutMs: number): Deadline {
  const controller = new AbortController();
  const leave = () => controller.abort(client.reason);
  if (client.aborted) leave();
  else onAbort(client, leave);
  const timer = setTimeout(() => {
    const message = `The request did not finish within ${timeoutMs} ms.`;
    controller.abort(new AppError('deadline_exceeded', { message }));
  }, timeoutMs);
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      offAbort(client, leave);
    },
  };
}

/** What ended the request: its deadline or its client, as the signal says, or else what was thrown. */
export function endedBy(signal: AbortSignal, thrown: unknown): AppError {
  if (!signal.aborted) return AppError.from(thrown);
  const reason: unknown = signal.reason;
  return reason instanceof AppError ? reason : new AppError('client_closed', { cause: thrown });
}
