import { type EngineConfig, engine, engineName } from '../../config/engine.ts';
import { isEncoder } from './engines.ts';

/** Settings that mean nothing to the other kind of model. */
const SETTINGS = {
  generator: ['slots', 'sampling', 'prefixCacheBytes', 'speculation'],
  encoder: ['batchTokens', 'precision'],
} as const satisfies Record<string, readonly (keyof EngineConfig)[]>;

/** What a setting is when nobody has said anything. */
const DEFAULTS = engine.parse({ model: 'any' });

/** A model has settings that its kind does not have. `message` names it, its kind and the settings. */
export class ForeignSettingsError extends Error {
  override readonly name = 'ForeignSettingsError';
}

/**
 * Refuses settings that would have no effect: whoever wrote them expects one. `task` needs a model directory and
 * makes it an encoder.
 *
 * @throws ForeignSettingsError
 */
export function refuseForeignSettings(settings: EngineConfig, path: string): void {
  if (settings.task !== undefined && /\.gguf$/i.test(path))
    throw new ForeignSettingsError(
      `\`${engineName(settings)}\` (${path}) is a generator, as every GGUF file is: \`task\` is for encoders, which are directories. Leave it out.`,
    );
  const encodes = isEncoder(settings, path);
  const foreign = SETTINGS[encodes ? 'generator' : 'encoder'].filter(
    (key) => JSON.stringify(settings[key]) !== JSON.stringify(DEFAULTS[key]),
  );
  if (foreign.length === 0) return;
  const [kind, other] = encodes ? ['an encoder', 'generators'] : ['a generator', 'encoders'];
  const named = foreign.map((key) => `\`${key}\``).join(', ');
  throw new ForeignSettingsError(
    `\`${engineName(settings)}\` (${path}) is ${kind}: ${named} ${foreign.length === 1 ? 'is' : 'are'} for ${other}. Leave ${foreign.length === 1 ? 'it' : 'them'} out.`,
  );
}
