import { ModelFileError } from '../model-file-error.ts';
import { isJsonObject } from '../safetensors/json-file.ts';

/** Checked access to the numbers that a model's file gives about it. Every refusal is a ModelFileError that names the key. */
export class Settings {
  readonly #path: string;
  readonly #prefix: string;
  readonly #lookUp: (key: string) => unknown;

  /** `prefix` stands before each key, in the file and in messages. */
  constructor(path: string, prefix: string, lookUp: (key: string) => unknown) {
    this.#path = path;
    this.#prefix = prefix;
    this.#lookUp = lookUp;
  }

  /** Undefined where the key is missing or null. */
  value(key: string): unknown {
    return this.#lookUp(this.#prefix + key) ?? undefined;
  }

  /** The settings in an object of a config.json; none where there is no such object. */
  within(key: string): Settings {
    const value = this.value(key);
    return new Settings(this.#path, '', (inner) => (isJsonObject(value) ? value[inner] : undefined));
  }

  integer(key: string, max: number, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > max)
      throw this.error(`${this.#prefix}${key} is ${shown(value)}, not an integer from 1 to ${max}`);
    return value;
  }

  positive(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      throw this.error(`${this.#prefix}${key} is ${shown(value)}, not a positive number`);
    return value;
  }

  /** Where the key is present, it must have the one value that the graph can do. */
  demand(key: string, expected: number | string | boolean): void {
    const value = this.value(key) ?? expected;
    if (value !== expected)
      throw this.error(`${this.#prefix}${key} is ${shown(value)}: only ${expected} is supported here`);
  }

  error(problem: string): ModelFileError {
    return new ModelFileError(this.#path, problem);
  }
}

/** A file may hold anything; a message should stay one. */
export function shown(value: unknown): string {
  // JSON has neither infinities nor integers of 64 bits.
  const isText = ['string', 'number', 'bigint'].includes(typeof value);
  const text = isText ? String(value) : (JSON.stringify(value) ?? 'missing');
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
