import { z } from 'zod';

/** Of a model, an engine, an upstream. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}$/, 'must be letters, digits and . _ : / @ -, at most 200');
/** Timers take no more: a longer time would be none at all. */
const LONGEST_MS = 2 ** 31 - 1;
export const milliseconds = z.number().int().positive().max(LONGEST_MS);
export const millisecondsOrNone = z.number().int().min(0).max(LONGEST_MS);
export const positive = z.number().int().positive();
