import { z } from 'zod';

/** Of a model, an engine, an upstream. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}$/, 'must be letters, digits and . _ : / @ -, at most 200');
export const milliseconds = z.number().int().positive();
export const positive = z.number().int().positive();
