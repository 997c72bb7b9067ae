import { AppError } from '../core/error.ts';

/** Of PostgreSQL: a NUL in a text, which it neither keeps nor looks for. */
const NO_TEXT = '22021';

/** For requests that want something of the database: what goes wrong there is a 503, save for what nobody could ask for. @throws AppError only */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if ((cause as { readonly code?: unknown }).code === NO_TEXT)
      throw new AppError('invalid_value', { message: 'The request holds a NUL character.' });
    throw new AppError('keys_unavailable', {
      message: 'The database cannot be used at the moment; try again later.',
      cause,
    });
  }
}
