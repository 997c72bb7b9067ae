/** A model file that cannot be used: damaged, truncated, or of a kind that is not supported. The message says what and where. */
export class ModelFileError extends Error {
  override readonly name = 'ModelFileError';
  /** The file at fault. */
  readonly path: string;

  constructor(path: string, problem: string, options: { cause?: unknown } = {}) {
    super(`${path}: ${problem}`, options);
    this.path = path;
  }
}

/** @param cause Why the system does not open the file. */
export function notOpened(path: string, cause: unknown): ModelFileError {
  const { code } = cause as NodeJS.ErrnoException;
  const why = { ENOENT: 'there is no such file', EACCES: 'this user may not read the file' }[code ?? ''];
  return new ModelFileError(path, why ?? 'the file cannot be opened', { cause });
}
