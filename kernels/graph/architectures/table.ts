import type { Architecture } from './architecture.ts';
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';
import { granite } from './granite.ts';
import { llama } from './llama.ts';
import { olmo2 } from './olmo2.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { smollm3 } from './smollm3.ts';

const ALL: readonly Architecture[] = [
  llama,
  qwen2,
  qwen3,
  olmo2,
  granite,
  smollm3,
  phi3,
  gemma,
  gemma2,
  gemma3,
];

/** By the value of `general.architecture` in GGUF files. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  ALL.map((architecture) => [architecture.name, architecture]),
);

/** By the name of the class in a Hugging Face config.json. */
export const ARCHITECTURES_BY_CLASS: ReadonlyMap<string, Architecture> = new Map(
  ALL.flatMap((architecture) => architecture.classes.map((name) => [name, architecture])),
);
