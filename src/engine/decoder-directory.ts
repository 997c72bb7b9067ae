import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type JsonObject, readJsonObject } from '../../kernels/safetensors/json-file.ts';
import type { SamplingDefaults } from '../core/sampling.ts';

/** Endings of the class names that transformers gives to models that write text. */
const GENERATOR_CLASS = /(ForCausalLM|LMHeadModel|ForConditionalGeneration)$/;

const MAX_CONFIG_BYTES = 16 * 2 ** 20;

/**
 * Whether a Hugging Face model directory is a generator's, by its config.json: supported or not is another question.
 * sentence-transformers mark what they made encoders of with `modules.json`.
 */
export function isDecoderDirectory(directory: string): boolean {
  if (existsSync(join(directory, 'modules.json'))) return false;
  const config = readIfWhole(join(directory, 'config.json'));
  const [name] = Array.isArray(config.architectures) ? (config.architectures as unknown[]) : [];
  return typeof name === 'string' && GENERATOR_CLASS.test(name);
}

/** Keys of generation_config.json that say how the model's authors recommend to draw. */
const SAMPLING_KEYS = {
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  minP: 'min_p',
  typicalP: 'typical_p',
  repetitionPenalty: 'repetition_penalty',
} as const;

/** Bounds of what a request may ask for, too: what lies outside is no recommendation. */
const SAMPLING_BOUNDS: Readonly<Record<keyof typeof SAMPLING_KEYS, readonly [least: number, most: number]>> =
  {
    temperature: [0, 2],
    topP: [Number.MIN_VALUE, 1],
    topK: [0, Number.MAX_SAFE_INTEGER],
    minP: [0, 1],
    typicalP: [Number.MIN_VALUE, 1],
    repetitionPenalty: [Number.MIN_VALUE, 10],
  };

/** What the directory's generation_config.json recommends. */
export function recommendedSampling(directory: string): Partial<SamplingDefaults> {
  const config = readIfWhole(join(directory, 'generation_config.json'));
  const fields = Object.entries(SAMPLING_KEYS) as [keyof typeof SAMPLING_KEYS, string][];
  return Object.fromEntries(
    fields.flatMap(([field, key]) => {
      const value = config[key];
      const [least, most] = SAMPLING_BOUNDS[field];
      return typeof value === 'number' && value >= least && value <= most ? [[field, value]] : [];
    }),
  );
}

/** The process that loads the model says what is wrong with a file; here it counts as empty. */
function readIfWhole(path: string): JsonObject {
  try {
    return readJsonObject(path, MAX_CONFIG_BYTES) ?? {};
  } catch {
    return {};
  }
}
