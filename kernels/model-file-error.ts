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
