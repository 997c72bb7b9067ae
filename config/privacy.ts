import { z } from 'zod';

/** What texts themselves demand of where they are served. */
export const privacy = z.strictObject({
  /** What to look for in every request: numbers by their format and checksum, in Chinese and English writing. Default: nothing. */
  detect: z
    .array(z.enum(['identity-number', 'phone', 'payment-card', 'bank-account', 'secret', 'email']))
    .default([]),
  /** Pictures, sound and files in requests, which nobody looks into here: let them pass, or take each for something found. */
  media: z.enum(['ignored', 'found']).default('ignored'),
  /** The loosest class of deployment that may see a request in which something was found. */
  whenFound: z.enum(['local', 'private']).default('private'),
});
