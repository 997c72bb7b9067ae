import { z } from 'zod';
import { budgets } from './budgets.ts';
import { decisions } from './decisions.ts';
import { type EngineConfig, engine, engineName } from './engine.ts';
import { keys } from './keys.ts';
import { limits } from './limits.ts';
import { listen } from './listen.ts';
import { type ModelConfig, model } from './model.ts';
import { positive } from './primitives.ts';
import { privacy } from './privacy.ts';
import { database, redis } from './storage.ts';
import { type UpstreamConfig, upstream } from './upstream.ts';

/** Shape, defaults and meaning of `qianmen.yaml`. The names are public: samples, documentation and tools rely on them. */

export const configSchema = z
  .strictObject({
    listen: listen.prefault({}),
    dataDir: z.string().min(1).default('./data'),
    database,
    redis,
    keys: keys.prefault({}),
    budgets: budgets.prefault({}),
    engines: z.array(engine).default([]),
    /**
     * Most memory that the models of `engines` may come to take together. One that does not fit takes the place of idle ones, or
     * is refused. Default: four fifths of the machine's or the container's memory, beyond which nothing is refused.
     */
    memoryBudgetBytes: positive.optional(),
    upstreams: z.array(upstream).default([]),
    models: z.array(model).default([]),
    /** Where this gateway and its engines stand; what `x-qianmen-privacy: region` means. */
    region: z.string().min(1).optional(),
    privacy: privacy.prefault({}),
    decisions: decisions.prefault({}),
    limits: limits.prefault({}),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info') })
      .prefault({}),
  })
  .superRefine(checkReferences);

export type Config = z.infer<typeof configSchema>;

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
    const encoder = m.tiers?.encoder;
    if (encoder !== undefined && !engines.includes(encoder))
      complain(
        ['models', i, 'tiers', 'encoder'],
        `there is no engine \`${encoder}\` (known: ${engines.join(', ') || 'none'})`,
      );
    const named = m.deployments.map((d, j) => ({ d, at: ['deployments', j] }));
    if (m.shadow) named.push({ d: m.shadow.deployment, at: ['shadow', 'deployment'] });
    for (const { d, at } of named) {
      const known = d.engine === undefined ? upstreams : engines;
      const wanted = d.engine ?? d.upstream ?? '';
      if (!known.includes(wanted)) {
        const section = d.engine === undefined ? 'upstream' : 'engine';
        complain(
          ['models', i, ...at, section],
          `there is no ${section} \`${wanted}\` (known: ${known.join(', ') || 'none'})`,
        );
      }
    }
  }
}
