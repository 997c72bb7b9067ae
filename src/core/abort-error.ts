import { AppError } from './error.ts';

/** What an abort means: the AppError that was given as its reason, or else that the client left. */
export function abortError({ reason }: AbortSignal): AppError {
  return reason instanceof AppError ? reason : new AppError('client_closed', { cause: reason });
}
