import { z } from 'zod';

/** What is kept about why requests went where they went. */
export const decisions = z.strictObject({
  /** The latest, in memory, for `/admin/decisions`. */
  keep: z.number().int().min(0).max(1_000_000).default(2_000),
  /** Append all of them, without content, to `decisions.jsonl` in the data directory: what `qianmen replay` reads. */
  log: z.boolean().default(false),
  /** Tell clients in `x-qianmen-route` which deployment served them. */
  routeHeader: z.boolean().default(false),
});
