import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pooling } from '../../kernels/encoder/pooling.ts';
import { Settings } from '../../kernels/graph/settings.ts';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import type { EncoderTask } from '../core/encoder.ts';

/** What the files beside the graph say about a model. */
export interface EncoderDescription {
  readonly graphPath: string;
  readonly architecture: string;
  readonly task: EncoderTask;
  readonly pooling: Pooling;
  /** Vectors are brought to length 1. */
  readonly normalise: boolean;
  /** Longest input, special tokens included. */
  readonly maxTokens: number;
  readonly padId: number;
  /** Numbers per token inside of the model. */
  readonly hiddenSize: number;
  /** Of a classifier, by class. */
  readonly labels: readonly string[];
  /** Each class has a probability of its own: sigmoid instead of softmax. */
  readonly independentClasses: boolean;
  readonly tokenizer: object;
  readonly tokenizerConfig: object;
}

interface ModelConfig {
  readonly architectures?: readonly string[];
  readonly model_type?: string;
  readonly max_position_embeddings?: number;
  readonly pad_token_id?: number | null;
  readonly hidden_size?: number;
  /** What DistilBERT calls it. */
  readonly dim?: number;
  readonly id2label?: Readonly<Record<string, string>>;
  readonly num_labels?: number;
  readonly problem_type?: string | null;
}

interface PoolingConfig {
  readonly pooling_mode_cls_token?: boolean;
  readonly pooling_mode_mean_tokens?: boolean;
  readonly pooling_mode_max_tokens?: boolean;
  readonly pooling_mode_mean_sqrt_len_tokens?: boolean;
  readonly pooling_mode_lasttoken?: boolean;
}

/** `model_max_length` of a tokenizer without a limit is 1e30. */
const NO_LIMIT = 1_000_000;

const DEFAULT_MAX_TOKENS = 512;

/** Where config.json does not say; nothing but an estimate depends on it. */
const USUAL_HIDDEN_SIZE = 768;

/** Graph files from the most to the least wanted; below them, whatever is the only one. */
const GRAPH_NAMES = ['onnx/model.onnx', 'model.onnx', 'onnx/model_quantized.onnx', 'model_quantized.onnx'];

/**
 * Reads a directory in the layout of sentence-transformers or of optimum's ONNX export: `config.json`, `tokenizer.json`, a
 * graph, and optionally `tokenizer_config.json`, `modules.json`, `sentence_bert_config.json` and `1_Pooling/config.json`.
 * What they leave unsaid: mean pooling, vectors of length 1.
 *
 * @throws ModelFileError that names the file at fault.
 */
export function readEncoderDirectory(directory: string, task?: EncoderTask): EncoderDescription {
  const config = readRequired<ModelConfig>(directory, 'config.json');
  const tokenizer = readRequired<object>(directory, 'tokenizer.json');
  const tokenizerConfig = readOptional<{ model_max_length?: number }>(directory, 'tokenizer_config.json');
  const sentence = readOptional<{ max_seq_length?: number }>(directory, 'sentence_bert_config.json');
  const labels = classLabels(config);
  const settings = new Settings(
    join(directory, 'config.json'),
    '',
    (key) => config[key as keyof ModelConfig],
  );
  const positions = settings.integer('max_position_embeddings', NO_LIMIT, DEFAULT_MAX_TOKENS);
  // Positions of the RoBERTa family begin behind the padding id.
  const offset = /roberta|camembert|mpnet/i.test(config.model_type ?? '')
    ? (config.pad_token_id ?? 1) + 1
    : 0;
  const limits = [sentence?.max_seq_length ?? 0, tokenizerConfig?.model_max_length ?? 0, positions - offset];
  return {
    graphPath: findGraph(directory),
    architecture: config.architectures?.[0] ?? config.model_type ?? 'unknown',
    task: task ?? guessTask(config, labels),
    ...readModules(directory),
    maxTokens: Math.min(...limits.filter((limit) => limit > 0 && limit < NO_LIMIT)),
    padId: config.pad_token_id ?? 0,
    hiddenSize: config.hidden_size ?? config.dim ?? USUAL_HIDDEN_SIZE,
    labels,
    independentClasses: config.problem_type === 'multi_label_classification' || labels.length === 1,
    tokenizer,
    tokenizerConfig: tokenizerConfig ?? {},
  };
}

function guessTask(config: ModelConfig, labels: readonly string[]): EncoderTask {
  if (!config.architectures?.some((name) => name.endsWith('ForSequenceClassification'))) return 'embed';
  return labels.length === 1 ? 'rerank' : 'classify';
}

function classLabels(config: ModelConfig): readonly string[] {
  const names = Object.entries(config.id2label ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  if (names.length > 0) return names.map(([, label]) => label);
  return Array.from({ length: config.num_labels ?? 2 }, (_, i) => `LABEL_${i}`);
}

function findGraph(directory: string): string {
  const wanted = GRAPH_NAMES.map((name) => join(directory, name)).find(existsSync);
  if (wanted !== undefined) return wanted;
  const others = [join(directory, 'onnx'), directory]
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.onnx'));
  if (others.length === 1) return others[0]!;
  const found = others.length === 0 ? 'no .onnx file' : 'several .onnx files and none called model.onnx';
  throw new ModelFileError(directory, `it has ${found}`);
}

function readModules(directory: string): { pooling: Pooling; normalise: boolean } {
  const modules = readOptional<{ type: string; path: string }[]>(directory, 'modules.json');
  const kinds = (modules ?? []).map(({ type }) => type.slice(type.lastIndexOf('.') + 1));
  const unknown = kinds.find((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (unknown !== undefined)
    throw new ModelFileError(join(directory, 'modules.json'), `its module ${unknown} is not supported`);
  const folder = modules?.[kinds.indexOf('Pooling')]?.path ?? '1_Pooling';
  return {
    pooling: poolingMode(directory, join(folder, 'config.json')),
    normalise: modules === undefined || kinds.includes('Normalize'),
  };
}

function poolingMode(directory: string, file: string): Pooling {
  const config = readOptional<PoolingConfig>(directory, file);
  const modes: Pooling[] = [];
  if (config?.pooling_mode_cls_token) modes.push('cls');
  if (config?.pooling_mode_mean_tokens) modes.push('mean');
  if (config?.pooling_mode_max_tokens) modes.push('max');
  if (config?.pooling_mode_mean_sqrt_len_tokens) modes.push('mean-sqrt-len');
  if (config?.pooling_mode_lasttoken) modes.push('last');
  if (modes.length > 1)
    throw new ModelFileError(join(directory, file), `it joins several poolings (${modes.join(', ')})`);
  return modes[0] ?? 'mean';
}

function readRequired<T>(directory: string, file: string): T {
  const content = readOptional<T>(directory, file);
  if (content === undefined) throw new ModelFileError(directory, `it has no ${file}`);
  return content;
}

function readOptional<T>(directory: string, file: string): T | undefined {
  const path = join(directory, file);
  if (!existsSync(path)) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ModelFileError(path, `it cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (typeof content !== 'object' || content === null)
    throw new ModelFileError(path, `it holds ${JSON.stringify(content).slice(0, 80)} and no object`);
  return content as T;
}
