import { AppError } from '../core/error.ts';

/** @throws AppError `invalid_value` with status 409 where `work` fails because another has the name; else what it throws */
export async function refusingTakenName<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code !== 'SQLITE_CONSTRAINT_UNIQUE' && code !== '23505') throw error;
    const message = `The name \`${name}\` is taken.`;
    throw new AppError('invalid_value', { param: 'name', status: 409, message, cause: error });
  }
}
