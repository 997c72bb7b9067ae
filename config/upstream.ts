import { z } from 'zod';
import { milliseconds, name, positive } from './primitives.ts';

/** What acts on the server beyond the request: its queue, other requests' memory, code that it runs, names that it knows them by. */
const OPERATORS_FIELDS = [
  'priority',
  'request_id',
  'rid',
  'kv_transfer_params',
  'vllm_xargs',
  'bootstrap_host',
  'bootstrap_port',
  'bootstrap_room',
  'data_parallel_rank',
  'session_params',
  'lora_path',
  'custom_logit_processor',
  'custom_params',
  'logits_processors',
];

/** What a URL copied from an example request ends with; `/models` may be a root (Azure). */
const ROUTE = /\/(?:completions|embeddings)\/?(?:\?|$)/;

/** `dns`, `srv`, or either with its settings. */
const discovery = z.preprocess(
  (value) => (typeof value === 'string' ? { type: value } : value),
  z.strictObject({
    type: z.enum(['dns', 'srv']),
    intervalMs: milliseconds.default(10_000),
    /** `srv`: the records' name; default: the host name of `url`. */
    service: z.string().min(1).optional(),
  }),
);

export const upstream = z.strictObject({
  name,
  /** API root, such as http://10.0.0.5:8000/v1 */
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), {
      message: 'must not carry a user name or password; put the key into apiKey',
    })
    .refine((url) => !/[?#]/.test(url), {
      message: 'must end with its path: what follows `?` or `#` would not be sent',
    })
    .refine((url) => !ROUTE.test(url), {
      message: 'must be the API root, such as http://10.0.0.5:8000/v1, without the path of a request',
    }),
  /** Every address behind the host name of `url` is a server of its own. */
  discovery: discovery.optional(),
  apiKey: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
  privacy: z.enum(['local', 'private', 'public']).default('public'),
  /** Fields of a request's body that the server does not get to see. */
  withhold: z.array(z.string().min(1)).default(OPERATORS_FIELDS),
  /** vLLM: sends a `cache_salt` for each project, so that nobody finds out by the time to a first token what others have asked. */
  cacheSalt: z.boolean().default(false),
  maxConnections: positive.default(512),
  /** Requests inside it at once: found out while it runs, from `initial` on. What is beyond goes elsewhere, or waits. */
  concurrency: z.strictObject({ initial: positive.default(256), max: positive.default(512) }).prefault({}),
  timeouts: z
    .strictObject({
      connectMs: milliseconds.default(2_000),
      firstByteMs: milliseconds.default(60_000),
      idleMs: milliseconds.default(30_000),
      totalMs: milliseconds.default(600_000),
    })
    .prefault({}),
  /** How often to read what the server says it has to do, where it does (vLLM, SGLang, llama.cpp); `off`: never. */
  loads: z
    .union([z.literal('off'), z.strictObject({ intervalMs: milliseconds.default(1_000) })])
    .prefault({}),
  probe: z
    .strictObject({ intervalMs: milliseconds.default(10_000), timeoutMs: milliseconds.default(2_000) })
    .prefault({}),
});

export type UpstreamConfig = z.infer<typeof upstream>;
