import { z } from 'zod';
import { positive } from './primitives.ts';

/** Who is told when money runs out, and how much is written down while the database is away. */
export const budgets = z.strictObject({
  /** Shares of a day's or a month's budget at which an alarm goes off, once each. */
  alarmAt: z.array(z.number().gt(0).max(1)).max(10).default([0.85, 0.95]),
  /** Gets every alarm as a signed POST. */
  webhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }),
      /** Signs it: HMAC-SHA256. */
      secret: z.string().min(16),
    })
    .optional(),
  /** What the ledger may take on disk before the database has it. */
  journalBytes: positive.min(64 * 1024 * 1024).default(1024 * 1024 * 1024),
});
