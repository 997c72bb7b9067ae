import { availableParallelism } from 'node:os';
import { Decoder } from '../../kernels/decoder.ts';
import { ensureDecoderGraph } from '../../kernels/graph/cache.ts';
import { MOST_VERIFIED_BYTES } from '../../kernels/verifier.ts';
import { onProvider } from '../model-process/on-provider.ts';
import { ChatTemplate } from './chat-template.ts';
import type { EngineInfo, LoadOptions } from './messages.ts';
import { readModelFiles } from './model-files.ts';
import { PieceMemory } from './piece-memory.ts';
import type { PromptModel } from './prompt-tokens.ts';
import { RequestGrammars } from './request-grammars.ts';
import { Tokenizer } from './tokenizer.ts';
import { TokenizerError } from './tokenizer-description.ts';

/** More threads than this would wait for each other more than they compute. */
const MOST_THREADS = 8;

const DEFAULT_CONTEXT_TOKENS = 2048;

/** A million tokens of chats, or somewhat less. */
const PIECE_MEMORY_BYTES = 4 * 2 ** 20;

export interface LoadedModel {
  readonly decoder: Decoder;
  readonly prompts: PromptModel;
  readonly grammars: RequestGrammars;
  readonly info: EngineInfo;
}

/**
 * Reads the model's files, builds its graph the first time, and loads it. Takes seconds, and blocks. Throws
 * ModelFileError or TokenizerError when the files cannot be used, ProviderError when the provider that was asked for
 * cannot.
 */
export async function loadModel(options: LoadOptions): Promise<LoadedModel> {
  const startedAtMs = performance.now();
  // Before the graph, which takes longer to build than a refusal should.
  const files = readModelFiles(options.modelPath);
  const tokenizer = new Tokenizer(files.tokenizer);
  const template =
    files.chatTemplate === undefined
      ? undefined
      : chatTemplate(options.modelPath, files.chatTemplate, tokenizer);
  const { modelPath, cacheDir, fallbackCacheDir = cacheDir } = options;
  const { graphPath, shape, requantised, weightsBytes } = ensureDecoderGraph(
    modelPath,
    cacheDir,
    fallbackCacheDir,
  );
  if (tokenizer.vocabularySize > shape.vocabSize)
    throw new TokenizerError(
      `${modelPath}: the tokenizer has ${tokenizer.vocabularySize} tokens, but the model only ${shape.vocabSize}.`,
    );
  const contextTokens = Math.min(options.contextTokens ?? DEFAULT_CONTEXT_TOKENS, shape.maxContextTokens);
  const threads = options.threads ?? Math.min(availableParallelism(), MOST_THREADS);
  const { slots, spinning, speculation } = options;
  const { loaded: decoder, ...providerInfo } = await onProvider(options, (provider) => {
    // On others a pass over several tokens does not give the bits of single steps.
    const verifies = speculation && provider.name === 'cpu' && weightsBytes <= MOST_VERIFIED_BYTES;
    return Decoder.load({ graphPath, shape, slots, contextTokens, threads, spinning, provider, verifies });
  });
  const prompts = { tokenizer, template, contextTokens, pieces: new PieceMemory(PIECE_MEMORY_BYTES) };
  return {
    decoder,
    prompts,
    grammars: new RequestGrammars(prompts, shape.vocabSize),
    info: {
      ...providerInfo,
      pid: process.pid,
      architecture: shape.architecture,
      vocabularySize: shape.vocabSize,
      layers: shape.layers,
      contextTokens,
      slots,
      threads,
      kvBytes: decoder.kvBytes,
      prefixCacheBytes: options.prefixCacheBytes,
      chatTemplate: template !== undefined,
      requantised,
      loadMs: Math.round(performance.now() - startedAtMs),
      rssBytes: process.memoryUsage.rss(),
    },
  };
}

function chatTemplate(modelPath: string, source: string, tokenizer: Tokenizer): ChatTemplate {
  const { bosId, eosId, controlStrings } = tokenizer;
  try {
    return new ChatTemplate({
      source,
      bosToken: bosId === undefined ? '' : (tokenizer.entry(bosId) ?? ''),
      eosToken: eosId === undefined ? '' : (tokenizer.entry(eosId) ?? ''),
      controlStrings,
    });
  } catch (error) {
    throw new TokenizerError(`${modelPath}: the chat template cannot be read: ${String(error)}`, {
      cause: error,
    });
  }
}
