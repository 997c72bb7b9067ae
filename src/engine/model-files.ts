import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readGguf } from '../../kernels/gguf/reader.ts';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { type JsonObject, readJsonObject } from '../../kernels/safetensors/json-file.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { hubTokenizer } from './hub-tokenizer.ts';
import { type TokenizerDescription, TokenizerError } from './tokenizer-description.ts';

/** What a generator's files say beside its weights. */
export interface ModelFiles {
  readonly tokenizer: TokenizerDescription;
  /** Jinja source; undefined where the model is not made for chats. */
  readonly chatTemplate: string | undefined;
}

const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;
const MAX_CONFIG_BYTES = 16 * 2 ** 20;

/** Reads a GGUF file or a Hugging Face model directory. Throws ModelFileError or TokenizerError. */
export function readModelFiles(modelPath: string): ModelFiles {
  if (statSync(modelPath, { throwIfNoEntry: false })?.isDirectory()) return readDirectory(modelPath);
  const { metadata } = readGguf(modelPath);
  const template = metadata.get('tokenizer.chat_template');
  return {
    tokenizer: tokenizerOf(modelPath, () => ggufTokenizer(metadata)),
    chatTemplate: typeof template === 'string' ? template : undefined,
  };
}

function readDirectory(directory: string): ModelFiles {
  const read = (file: string) => readJsonObject(join(directory, file), MAX_CONFIG_BYTES) ?? {};
  const tokenizerPath = join(directory, 'tokenizer.json');
  const tokenizer = readJsonObject(tokenizerPath, MAX_TOKENIZER_BYTES);
  if (tokenizer === undefined) throw new ModelFileError(directory, 'it has no tokenizer.json');
  const tokenizerConfig = read('tokenizer_config.json');
  return {
    tokenizer: tokenizerOf(tokenizerPath, () =>
      hubTokenizer({
        tokenizer,
        tokenizerConfig,
        generationConfig: read('generation_config.json'),
        config: read('config.json'),
      }),
    ),
    chatTemplate: chatTemplate(directory, tokenizerConfig),
  };
}

/** Refusals say which file they are about. */
function tokenizerOf(path: string, read: () => TokenizerDescription): TokenizerDescription {
  try {
    return read();
  } catch (error) {
    if (error instanceof TokenizerError)
      throw new TokenizerError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** A file of its own, or a string among the tokenizer's settings, or one of several there: `default`. */
function chatTemplate(directory: string, { chat_template: inConfig }: JsonObject): string | undefined {
  const path = join(directory, 'chat_template.jinja');
  if (existsSync(path)) return readFileSync(path, 'utf8');
  const templates: readonly unknown[] = Array.isArray(inConfig) ? inConfig : [];
  const named = templates.find(
    (each): each is { template: unknown } => (each as { name?: unknown } | null)?.name === 'default',
  );
  const source = named?.template ?? inConfig;
  return typeof source === 'string' ? source : undefined;
}
