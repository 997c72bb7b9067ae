import type { RopeSettings } from './hyperparameters.ts';
import type { Settings } from './settings.ts';

/**
 * LongRoPE, by config.json, as it is up to the length that the model was first trained for. Beyond that all frequencies
 * are others, also those of the tokens before: no sequence may become longer. Source: transformers'
 * `modeling_rope_utils.py`, `_compute_longrope_parameters`.
 */
export function longRope(
  settings: Settings,
  rope: Settings,
  { dims, positions }: { readonly dims: number; readonly positions: number },
): Pick<RopeSettings, 'frequencyFactors' | 'amplitude'> & { readonly trainedTokens: number } {
  const key = 'original_max_position_embeddings';
  const trainedTokens = (rope.value(key) === undefined ? settings : rope).integer(key, positions);
  const stretch = rope.positive('factor', positions / trainedTokens);
  const amplitude = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(trainedTokens));
  const factors = rope.value('short_factor');
  if (!isFactors(factors) || factors.length !== dims / 2)
    throw settings.error(`short_factor is not a list of ${dims / 2} positive numbers`);
  return {
    frequencyFactors: Float32Array.from(factors),
    amplitude: rope.positive('attention_factor', amplitude),
    trainedTokens,
  };
}

function isFactors(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number' && each > 0);
}
