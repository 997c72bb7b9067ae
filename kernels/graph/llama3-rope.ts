import type { Settings } from './settings.ts';

/**
 * Divisors of the rotary frequencies [dims / 2] that lengthen the context of Llama 3.1 and later: short waves stay,
 * long ones are stretched by `factor`, between them it is blended. Source: transformers' `modeling_rope_utils.py`,
 * `_compute_llama3_parameters`.
 */
export function llama3FrequencyFactors(settings: Settings, theta: number, dims: number): Float32Array {
  const factor = settings.positive('factor');
  const lowFactor = settings.positive('low_freq_factor');
  const highFactor = settings.positive('high_freq_factor');
  const trainedTokens = settings.positive('original_max_position_embeddings');
  if (highFactor <= lowFactor)
    throw settings.error(`high_freq_factor ${highFactor} is not above low_freq_factor ${lowFactor}`);
  return Float32Array.from({ length: dims / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / dims);
    const kept = (trainedTokens / wavelength - lowFactor) / (highFactor - lowFactor);
    const blend = Math.min(1, Math.max(0, kept));
    return 1 / ((1 - blend) / factor + blend);
  });
}
