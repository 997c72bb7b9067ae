import { z } from 'zod';
import { ROLES } from '../../core/caller.ts';
import { ACCESS_RULES } from '../access-rules.ts';
import { queryNumber } from '../http/query-number.ts';

/** Shapes of organizations, projects and keys on the wire. What they mean and what is allowed is checked where they are kept. */

const count = z.int().min(1);
const money = z.int().min(0);

const limits = {
  requestsPerMinute: count,
  tokensPerMinute: count,
  concurrency: count,
  nanoUsdPerDay: money,
  nanoUsdPerMonth: money,
};

const demands = {
  privacy: z.enum(['local', 'private', 'public']),
  regions: z.array(z.string()).min(1).max(100),
  maxCostUsd: z.number().min(0),
};

const role = z.enum(ROLES);
const timeMs = z.int().min(0);
const name = z.string().min(1).max(200);

/** In changes null takes away what was set. */
const terms = {
  name,
  limits: z.strictObject(eachOptional(limits)),
  demands: z.strictObject(eachOptional(demands)),
};

const termsChange = {
  limits: z.strictObject(eachNullish(limits)).optional(),
  demands: z.strictObject(eachNullish(demands)).optional(),
};

const share = {
  weight: z.number().min(0.001).max(1000),
  priority: z.int().min(-1000).max(1000),
};

/** What a key may be limited to. */
export const CALLABLE_PATHS = Object.entries(ACCESS_RULES).flatMap(([route, access]) =>
  route.startsWith('POST ') && access === 'user' ? [route.slice('POST '.length)] : [],
);

const scopeChange = {
  role: role.optional(),
  models: z.array(z.string()).min(1).max(1000).nullish(),
  endpoints: z.array(z.enum(CALLABLE_PATHS)).min(1).nullish(),
  expiresAtMs: timeMs.nullish(),
};

export const organization = z.object({
  id: z.string(),
  ...terms,
  createdAtMs: timeMs,
  archivedAtMs: timeMs.optional(),
});

export const newOrganization = z.strictObject({ name, ...termsChange });
export const organizationChange = newOrganization.partial();

export const project = z.object({
  id: z.string(),
  organizationId: z.string(),
  ...terms,
  ...share,
  createdAtMs: timeMs,
  archivedAtMs: timeMs.optional(),
});

export const projectChange = z.strictObject({
  name: name.optional(),
  ...termsChange,
  ...eachOptional(share),
});
export const newProject = projectChange.extend({ name, organizationId: z.string() });

export const apiKey = z.object({
  id: z.string(),
  projectId: z.string(),
  ...terms,
  role,
  models: z.array(z.string()).optional(),
  endpoints: z.array(z.string()).optional(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs.optional(),
  revokedAtMs: timeMs.optional(),
});

/** Of what is made or changed: what it is limited to and nothing serves here is taken all the same. */
export function withWarnings<T extends z.ZodRawShape>(reply: z.ZodObject<T>) {
  return reply.extend({ warnings: z.array(z.string()).optional() });
}

/** The only time that anybody sees the secret. */
export const apiKeyWithSecret = apiKey.extend({ secret: z.string() });

export const apiKeyChange = z.strictObject({ name: name.optional(), ...termsChange, ...scopeChange });
export const newApiKey = apiKeyChange.extend({ name, projectId: z.string() });

export const rotation = z.strictObject({
  /** For this long the earlier secret stays valid, too. */
  overlapMs: z
    .int()
    .min(0)
    .max(365 * 86_400_000)
    .default(86_400_000),
  expiresAtMs: timeMs.nullish(),
});

export const page = z.strictObject({
  limit: queryNumber(z.int().min(1).max(1000)).default(100),
  /** `next` of the page before. */
  after: z.string().max(100).optional(),
});

type Shape = Readonly<Record<string, z.ZodType>>;

function eachOptional<T extends Shape>(shape: T) {
  return mapped(shape, (schema) => schema.optional()) as { [K in keyof T]: z.ZodOptional<T[K]> };
}

function eachNullish<T extends Shape>(shape: T) {
  return mapped(shape, (schema) => schema.nullish()) as {
    [K in keyof T]: z.ZodOptional<z.ZodNullable<T[K]>>;
  };
}

function mapped(shape: Shape, change: (schema: z.ZodType) => z.ZodType): Shape {
  return Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, change(schema)]));
}
