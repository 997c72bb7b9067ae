import { z } from 'zod';
import { samplingSchema } from './sampling.ts';

/** Shape, defaults and meaning of `qianmen.yaml`. The names are public: samples, documentation and tools rely on them. */

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}$/, 'must be letters, digits and . _ : / @ -, at most 200');
const milliseconds = z.number().int().positive();
const positive = z.number().int().positive();

const listen = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(8080),
  /** Gateway processes that share the port; more than one only without `engines`. */
  workers: positive.max(256).default(1),
  /** Largest request body; larger ones get 413 before they are buffered. */
  maxBodyBytes: positive.default(32 * 1024 * 1024),
  /** Time for a client to send its headers, and then its whole request. */
  requestTimeoutMs: milliseconds.default(30_000),
  /** A comment line is sent on a stream that was silent for so long. */
  heartbeatMs: milliseconds.default(15_000),
  /** A client that takes nothing of what is ready for it for so long is cut off. */
  stallTimeoutMs: milliseconds.default(60_000),
  /** After SIGTERM: keep accepting for so long, so that load balancers see /readyz fail first. */
  drainDelayMs: z.number().int().min(0).default(0),
  /** After SIGTERM: running requests may take so long to finish. */
  drainTimeoutMs: milliseconds.default(30_000),
  /** Serve a non-loopback address although no API keys are configured. */
  allowUnauthenticated: z.boolean().default(false),
  cors: z.strictObject({ origins: z.array(z.string()).default([]) }).prefault({}),
});

const engine = z
  .strictObject({
    /** A name from the catalogue, or … */
    model: name.optional(),
    /** … a GGUF file; or the directory of an encoder: config.json, tokenizer.json and model.onnx or onnx/model.onnx. */
    path: z.string().min(1).optional(),
    /** Encoders: what the model is for; default: what its config.json says. */
    task: z.enum(['embed', 'rerank', 'classify']).optional(),
    /** Public name; default: the catalogue name or the base name of the file or directory. */
    name: name.optional(),
    /** Execution provider. `auto` takes the best that is available; for now that is always the CPU. */
    provider: z.enum(['auto', 'cpu']).default('auto'),
    /** Default: the number of cores, at most 8. */
    threads: positive.max(256).optional(),
    /** Sequences decoded together; encoders have none. */
    slots: positive.max(256).default(16),
    /**
     * Prompt + output of one sequence; default: what the model was trained for, at most 2,048. Of an encoder: the longest
     * input; default and at most what the model says.
     */
    contextTokens: positive.max(1_048_576).optional(),
    /** Used where a request does not say; default: what the catalogue recommends for the model. */
    sampling: samplingSchema.prefault({}),
    /** Requests that may wait for a slot; the next one gets 503. */
    queueLimit: positive.default(256),
    /** Memory for computed prompts, so that one which begins alike need not be computed again. 0 turns it off. */
    prefixCacheBytes: z
      .number()
      .int()
      .min(0)
      .default(512 * 1024 * 1024),
    /** Encoders: most tokens computed together, padding included. */
    batchTokens: positive.max(1_048_576).default(4_096),
    /** Busy-wait between steps: faster where the cores are free, slower where they are shared. */
    spinning: z.boolean().default(false),
  })
  .refine((e) => (e.model === undefined) !== (e.path === undefined), {
    message:
      'needs exactly one of `model` (a catalogue name) and `path` (a GGUF file, or the directory of an encoder)',
  });

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

const upstream = z.strictObject({
  name,
  /** API root, such as http://10.0.0.5:8000/v1 */
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .refine((url) => !/^[^/]*\/\/[^/]*@/.test(url), {
      message: 'must not carry a user name or password; put the key into apiKey',
    }),
  /** Every address behind the host name of `url` is a server of its own. */
  discovery: discovery.optional(),
  apiKey: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
  privacy: z.enum(['local', 'private', 'public']).default('public'),
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
  probe: z
    .strictObject({ intervalMs: milliseconds.default(10_000), timeoutMs: milliseconds.default(2_000) })
    .prefault({}),
});

const price = z.strictObject({
  inputUsdPerMTok: z.number().min(0),
  cachedInputUsdPerMTok: z.number().min(0).optional(),
  outputUsdPerMTok: z.number().min(0),
});

const deployment = z
  .strictObject({
    upstream: name.optional(),
    engine: name.optional(),
    /** The model's name at the upstream; default: the public name. */
    model: z.string().min(1).optional(),
    price: price.optional(),
    contextTokens: positive.optional(),
  })
  .refine((d) => (d.upstream === undefined) !== (d.engine === undefined), {
    message: 'needs exactly one of `upstream` and `engine`',
  });

const model = z.strictObject({
  name,
  policy: z.enum(['round-robin']).default('round-robin'),
  /** Ask a second deployment when the first token of a stream is late: at most for a twentieth of the requests. Both may be billed. */
  hedge: z.boolean().default(false),
  deployments: z.array(deployment).min(1),
});

const limits = z.strictObject({
  /** Choices per request. */
  maxChoices: positive.default(16),
  maxTopLogprobs: z.number().int().min(0).default(20),
  /** Attempts after the first, only while nothing was delivered. */
  maxRetries: z.number().int().min(0).default(2),
  /** Requests of one model that may wait for a deployment to have room; the next one gets 503. */
  queueLength: z.number().int().min(0).default(256),
  /** A request that has waited for so long gets 503. */
  queueTimeoutMs: milliseconds.default(10_000),
  /**
   * A request that takes longer gets 504, or an error event if it has begun. `x-qianmen-timeout-ms` replaces it. Default:
   * none; queues and upstreams have limits of their own.
   */
  requestTimeoutMs: milliseconds.optional(),
});

export const configSchema = z
  .strictObject({
    listen: listen.prefault({}),
    dataDir: z.string().min(1).default('./data'),
    engines: z.array(engine).default([]),
    upstreams: z.array(upstream).default([]),
    models: z.array(model).default([]),
    limits: limits.prefault({}),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info') })
      .prefault({}),
  })
  .superRefine(checkReferences);

export type Config = z.infer<typeof configSchema>;
export type EngineConfig = Config['engines'][number];
export type UpstreamConfig = Config['upstreams'][number];
export type ModelConfig = Config['models'][number];

/** The public name of an engine's model. */
export function engineName(config: EngineConfig): string {
  if (config.name !== undefined) return config.name;
  if (config.model !== undefined) return config.model;
  const file = (config.path ?? '').split(/[\\/]/).filter(Boolean).pop() ?? '';
  return file.replace(/\.gguf$/i, '').toLowerCase();
}

function checkReferences(
  config: {
    listen: { workers: number };
    engines: EngineConfig[];
    upstreams: UpstreamConfig[];
    models: ModelConfig[];
  },
  context: z.RefinementCtx,
): void {
  const complain = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message });
  if (config.listen.workers > 1 && config.engines.length > 0)
    complain(
      ['listen', 'workers'],
      'must be 1 where `engines` are configured, since every worker would start its own. Run the engines in a second ' +
        'gateway with one worker, and name that gateway in `upstreams` here',
    );
  const engines = config.engines.map(engineName);
  const upstreams = config.upstreams.map((u) => u.name);
  const duplicates = (names: string[], section: string, field: string) => {
    for (const [i, n] of names.entries()) {
      if (names.indexOf(n) !== i) complain([section, i, field], `\`${n}\` is used twice`);
    }
  };
  duplicates(engines, 'engines', 'name');
  duplicates(upstreams, 'upstreams', 'name');
  duplicates(
    config.models.map((m) => m.name),
    'models',
    'name',
  );
  for (const [i, m] of config.models.entries()) {
    for (const [j, d] of m.deployments.entries()) {
      const known = d.engine === undefined ? upstreams : engines;
      const wanted = d.engine ?? d.upstream ?? '';
      if (!known.includes(wanted)) {
        const section = d.engine === undefined ? 'upstream' : 'engine';
        complain(
          ['models', i, 'deployments', j, section],
          `there is no ${section} \`${wanted}\` (known: ${known.join(', ') || 'none'})`,
        );
      }
    }
  }
}
