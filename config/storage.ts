import { z } from 'zod';

const POSTGRES_URL = 'must be `sqlite` or a URL that begins with postgres://';

/** Where keys, tenants and the ledger lie: `sqlite`, a file in `dataDir`; or a PostgreSQL server that several gateways share. */
export const database = z
  .union([z.literal('sqlite'), z.string().regex(/^postgres(?:ql)?:\/\//, POSTGRES_URL)], {
    error: POSTGRES_URL,
  })
  .default('sqlite');

/** Where several gateways count together; default: each counts for itself. */
export const redis = z
  .string()
  .regex(/^rediss?:\/\//, 'must be a URL that begins with redis:// or rediss://')
  .nullable()
  .default(null);
