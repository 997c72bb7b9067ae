import { TokenizerError } from './tokenizer-description.ts';

// Reading of JSON that may hold anything.

export type JsonObject = Readonly<Record<string, unknown>>;

/** Empty where the value is no object. */
export function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** Empty where the value is no list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A step of a tokenizer.json, or the steps of a sequence, which has them under `key`. */
export function flattened(value: unknown, key: string): readonly JsonObject[] {
  if (value === null || value === undefined) return [];
  const step = objectOf(value);
  return step.type === 'Sequence' ? listOf(step[key]).flatMap((each) => flattened(each, key)) : [step];
}

/** For messages. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** The merges of a BPE model, each a string or a pair. */
export function mergesOf(model: JsonObject): readonly (readonly [string, string])[] {
  return listOf(model.merges).map((value) => {
    if (typeof value === 'string') return mergePair(value);
    const [left, right] = listOf(value);
    if (typeof left !== 'string' || typeof right !== 'string')
      throw new TokenizerError(`The tokenizer has the merge ${shown(value)}.`);
    return [left, right];
  });
}

/** Entries hold no space; the first character may be anything. */
export function mergePair(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}
