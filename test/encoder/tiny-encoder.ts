import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ExternalData } from '../../kernels/graph/external-data.ts';
import { OnnxGraph } from '../../kernels/graph/onnx-graph.ts';

/** Words of a tokenizer small enough to reason about, in the shape of BERT's. The id is the position. */
export const WORDS = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'good',
  'bad',
  'fine',
  'a',
  'b',
  'cat',
  'dog',
] as const;

const ID = Object.fromEntries(WORDS.map((word, id) => [word, id])) as Record<(typeof WORDS)[number], number>;

export const TINY_TOKENIZER = {
  version: '1.0',
  truncation: { max_length: 4, strategy: 'LongestFirst', stride: 0 },
  padding: { strategy: { Fixed: 9 }, direction: 'Right', pad_id: 0, pad_type_id: 0, pad_token: '[PAD]' },
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)],
    pair: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0), sequence('B', 1), special('[SEP]', 1)],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [ID['[CLS]']], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [ID['[SEP]']], tokens: ['[SEP]'] },
    },
  },
  decoder: null,
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: ID,
  },
};

function special(id: string, type_id: number): object {
  return { SpecialToken: { id, type_id } };
}

function sequence(id: string, type_id: number): object {
  return { Sequence: { id, type_id } };
}

export interface TinyEncoderOptions {
  /** Word → one logit per class; words that are not listed give nothing. */
  readonly weights: Readonly<Partial<Record<(typeof WORDS)[number], readonly number[]>>>;
  /** Only the second segment counts: what stands in the document, not what stands in the query. */
  readonly secondSegmentOnly?: boolean;
  /** Activations are quantised with one scale for the whole batch, as `onnxruntime.quantization.quantize_dynamic` does. */
  readonly quantised?: boolean;
  readonly config?: object;
}

/**
 * Writes a sequence classifier whose logits are the sums of its words' weights, as a directory that an engine can be
 * pointed to. What it must answer can be told by adding up.
 */
export function writeTinyClassifier(options: TinyEncoderOptions): string {
  const directory = mkdtempSync(join(tmpdir(), 'qianmen-encoder-'));
  const classes = Object.values(options.weights)[0]!.length;
  const table = new Float32Array(WORDS.length * classes);
  for (const [word, row] of Object.entries(options.weights))
    table.set(row, ID[word as keyof typeof ID] * classes);

  mkdirSync(join(directory, 'onnx'));
  const data = new ExternalData(join(directory, 'onnx', 'weights'), 'weights');
  const graph = new OnnxGraph(data);
  for (const name of ['input_ids', 'attention_mask', 'token_type_ids'])
    graph.input(name, 'int64', ['b', 's']);
  graph.float32('table', table, [WORDS.length, classes]);
  graph.int64('last', [2]);
  graph.int64('sequence', [1]);
  graph.node('Gather', ['table', 'input_ids'], [options.quantised ? 'exact' : 'rows']);
  if (options.quantised) {
    graph.node('DynamicQuantizeLinear', ['exact'], ['quantised', 'scale', 'zero']);
    graph.node('DequantizeLinear', ['quantised', 'scale', 'zero'], ['rows']);
  }
  const counted = options.secondSegmentOnly ? 'token_type_ids' : 'attention_mask';
  graph.node('Cast', [counted], ['weightless'], { to: 1 });
  graph.node('Unsqueeze', ['weightless', 'last'], ['weight']);
  graph.node('Mul', ['rows', 'weight'], ['weighted']);
  graph.node('ReduceSum', ['weighted', 'sequence'], ['logits'], { keepdims: 0 });
  graph.output('logits', 'float32', ['b', classes]);
  data.finish();
  data.close();
  const files = {
    'onnx/model.onnx': graph.serialise(),
    'config.json': JSON.stringify({
      architectures: ['TinyForSequenceClassification'],
      max_position_embeddings: 16,
      pad_token_id: 0,
      num_labels: classes,
      ...options.config,
    }),
    'tokenizer.json': JSON.stringify(TINY_TOKENIZER),
    'tokenizer_config.json': JSON.stringify({ model_max_length: 1e30 }),
  };
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), content);
  }
  return directory;
}
