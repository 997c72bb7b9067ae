import { z } from 'zod';
import type { RequestLimits } from './limits.ts';

/** An optional field of the wire: absent and null are the same. */
export function optional<T extends z.ZodType>(schema: T): z.ZodOptional<z.ZodNullable<T>> {
  return schema.nullish();
}

/**
 * An array whose length is checked before its elements: a huge array of wrong elements must not cost one issue each.
 */
export function boundedArray<T extends z.ZodType>(
  element: T,
  max: number,
): z.ZodType<z.output<T>[], unknown> {
  return z.preprocess((value, context) => {
    if (Array.isArray(value) && value.length > max) {
      context.issues.push({ code: 'too_big', origin: 'array', maximum: max, inclusive: true, input: value });
      return z.NEVER;
    }
    return value;
  }, z.array(element));
}

export const MAX_TOKEN_ID = 2 ** 31 - 1;

/** A schema that depends on the limits, built once for each. */
export function perLimits<T>(build: (limits: RequestLimits) => T): (limits: RequestLimits) => T {
  const built = new WeakMap<RequestLimits, T>();
  return (limits) => {
    let schema = built.get(limits);
    if (schema === undefined) {
      schema = build(limits);
      built.set(limits, schema);
    }
    return schema;
  };
}
