import { z } from 'zod';

/** A whole number in a query string: decimal digits. What JavaScript takes for a number beside these, such as nothing for 0, is none. */
export function queryNumber(number: z.ZodInt) {
  return z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value),
    number,
  );
}
