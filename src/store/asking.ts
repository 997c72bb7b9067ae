import { AppError } from '../core/error.ts';

/** For requests that want something of the database: what goes wrong there is a 503. @throws AppError only */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('keys_unavailable', {
      message: 'The database cannot be used at the moment; try again later.',
      cause,
    });
  }
}
