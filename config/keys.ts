import { z } from 'zod';
import { milliseconds } from './primitives.ts';

/** API keys: as soon as there is one, every request needs one. `qianmen key create` makes the first. */
export const keys = z.strictObject({
  /** While the database cannot be reached, known keys go on being served for this long. */
  ttlMs: milliseconds.default(600_000),
});
