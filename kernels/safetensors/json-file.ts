import { readFileSync, statSync } from 'node:fs';
import { ModelFileError } from '../model-file-error.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON object from a file. Undefined if there is no such file. Throws ModelFileError for anything else, also if it is longer than `maxBytes`. */
export function readJsonObject(path: string, maxBytes: number): JsonObject | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile()) throw new ModelFileError(path, 'this is not a regular file');
  if (stat.size > maxBytes)
    throw new ModelFileError(path, `the file has ${stat.size} bytes, more than the ${maxBytes} allowed`);
  return parseJsonObject(readFileSync(path, 'utf8'), path, 'the file');
}

/** `what` names the text in messages. */
export function parseJsonObject(text: string, path: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ModelFileError(path, `${what} is not JSON`, { cause });
  }
  if (!isJsonObject(value)) throw new ModelFileError(path, `${what} is not a JSON object`);
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
