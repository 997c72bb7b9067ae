/**
 * Answers one question of memory-estimate.ts from the files of a model, and ends.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { readGguf } from '../../kernels/gguf/reader.ts';
import { MOST_VERIFIED_BYTES } from '../../kernels/verifier.ts';
import { encoderMemory } from '../encoder/encoder-memory.ts';
import type { EstimateQuestion, MemoryEstimate } from './memory-estimate.ts';

/** Node, ONNX Runtime and the tokenizer, without a model. */
const PROCESS_BYTES = 200 * 2 ** 20;
/** Of an 8-bit weight: the byte, a float32 scale and a zero point for every 32. */
const BYTES_PER_WEIGHT = 1 + 5 / 32;
/** Weights of safetensors files have 16 bits, most of the time. */
const BYTES_PER_STORED_BYTE = BYTES_PER_WEIGHT / 2;
const DEFAULT_CONTEXT_TOKENS = 2048;

interface Decoder {
  readonly weights: number;
  readonly layers: number;
  readonly kvWidth: number;
  readonly vocabulary: number;
  readonly maxContextTokens: number;
}

function generator(question: EstimateQuestion): MemoryEstimate {
  const { path, slots, prefixCacheBytes, speculation } = question;
  const decoder = statSync(path).isDirectory() ? fromDirectory(path) : fromGguf(path);
  const contextTokens = Math.min(question.contextTokens ?? DEFAULT_CONTEXT_TOKENS, decoder.maxContextTokens);
  const weightsBytes = decoder.weights * BYTES_PER_WEIGHT;
  const verifies = speculation && weightsBytes <= MOST_VERIFIED_BYTES;
  return sum({
    weightsBytes: verifies ? 2 * weightsBytes : weightsBytes,
    kvBytes: 2 * 4 * decoder.layers * decoder.kvWidth * contextTokens * slots,
    prefixCacheBytes,
    // Logits and probabilities of one step.
    otherBytes: PROCESS_BYTES + 3 * 4 * decoder.vocabulary * slots,
  });
}

function fromGguf(path: string): Decoder {
  const { metadata, tensors } = readGguf(path);
  const prefix = String(metadata.get('general.architecture'));
  const number = (key: string) => Number(metadata.get(`${prefix}.${key}`));
  const heads = number('attention.head_count');
  const headSize = number('attention.key_length') || number('embedding_length') / heads;
  const sizes = new Map([...tensors].map(([name, { dims }]) => [name, dims.reduce((a, b) => a * b, 1)]));
  const all = [...sizes.values()].reduce((a, b) => a + b, 0);
  // The graph has the table of embeddings twice where it is the head, too.
  const head = sizes.has('output.weight') ? 0 : (sizes.get('token_embd.weight') ?? 0);
  return {
    weights: all + head,
    layers: number('block_count'),
    kvWidth: (number('attention.head_count_kv') || heads) * headSize,
    vocabulary: tensors.get('token_embd.weight')?.dims[1] ?? 0,
    maxContextTokens: number('context_length') || Number.POSITIVE_INFINITY,
  };
}

interface ModelConfig {
  readonly num_hidden_layers?: number;
  readonly hidden_size?: number;
  readonly num_attention_heads?: number;
  readonly num_key_value_heads?: number;
  readonly head_dim?: number;
  readonly vocab_size?: number;
  readonly max_position_embeddings?: number;
}

function fromDirectory(path: string): Decoder {
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as ModelConfig;
  const { hidden_size: hidden = 0, num_attention_heads: heads = 1, vocab_size: vocabulary = 0 } = config;
  const headSize = config.head_dim ?? hidden / heads;
  return {
    weights: (bytesOf(path, '.safetensors') * BYTES_PER_STORED_BYTE) / BYTES_PER_WEIGHT + hidden * vocabulary,
    layers: config.num_hidden_layers ?? 0,
    kvWidth: (config.num_key_value_heads ?? heads) * headSize,
    vocabulary,
    maxContextTokens: config.max_position_embeddings ?? Number.POSITIVE_INFINITY,
  };
}

function encoder({ path, batchTokens, integers }: EstimateQuestion): MemoryEstimate {
  const { weightsBytes, activationBytes } = encoderMemory(path, { batchTokens, integers });
  return sum({ weightsBytes, kvBytes: 0, prefixCacheBytes: 0, otherBytes: PROCESS_BYTES + activationBytes });
}

function sum(parts: Omit<MemoryEstimate, 'totalBytes'>): MemoryEstimate {
  const { weightsBytes, kvBytes, prefixCacheBytes, otherBytes } = parts;
  return {
    ...parts,
    weightsBytes: Math.ceil(weightsBytes),
    totalBytes: Math.ceil(weightsBytes + kvBytes + prefixCacheBytes + otherBytes),
  };
}

function bytesOf(directory: string, ending: string): number {
  const files = readdirSync(directory).filter((file) => file.endsWith(ending));
  return files.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
}

const question = workerData as EstimateQuestion;
const estimate = question.kind === 'encoder' ? encoder(question) : generator(question);
parentPort?.postMessage(Number.isFinite(estimate.totalBytes) ? estimate : undefined);
