import { z } from 'zod';

export const POSTGRES_URL = /^postgres(?:ql)?:\/\//;
const NO_DATABASE = 'must be `sqlite` or a URL that begins with postgres://';

/** Where keys, tenants and the ledger lie: `sqlite`, a file in `dataDir`; or a PostgreSQL server that several gateways share. */
export const database = z
  .union([z.literal('sqlite'), z.string().regex(POSTGRES_URL, NO_DATABASE)], {
    error: NO_DATABASE,
  })
  .default('sqlite');

/** Where several gateways count together; default: each counts for itself. */
export const redis = z
  .string()
  .regex(/^rediss?:\/\//, 'must be a URL that begins with redis:// or rediss://')
  .nullable()
  .default(null);
