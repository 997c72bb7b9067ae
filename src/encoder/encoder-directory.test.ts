import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { readEncoderDirectory } from './encoder-directory.ts';

const BASE = { 'config.json': { model_type: 'bert', max_position_embeddings: 512 }, 'tokenizer.json': {} };

function directoryOf(files: Readonly<Record<string, unknown>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'qianmen-encoder-'));
  for (const [file, content] of Object.entries({ 'model.onnx': 'x', ...BASE, ...files })) {
    if (content === undefined) continue;
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return directory;
}

const read = (files: Readonly<Record<string, unknown>>) => readEncoderDirectory(directoryOf(files));
const modules = (...kinds: string[]) =>
  kinds.map((kind, idx) => ({ idx, path: `${idx}_${kind}`, type: `sentence_transformers.models.${kind}` }));

describe('the directory of an encoder', () => {
  it('that says nothing more gets mean pooling and vectors of length 1', () => {
    expect(read({})).toMatchObject({
      task: 'embed',
      pooling: 'mean',
      normalise: true,
      maxTokens: 512,
      padId: 0,
    });
  });

  it('is read as sentence-transformers wrote it', () => {
    const description = read({
      'modules.json': modules('Transformer', 'Pooling'),
      '1_Pooling/config.json': { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false },
      'sentence_bert_config.json': { max_seq_length: 128 },
      'tokenizer_config.json': { model_max_length: 256 },
    });
    expect(description).toMatchObject({ pooling: 'cls', normalise: false, maxTokens: 128 });
    expect(read({ 'modules.json': modules('Transformer', 'Pooling', 'Normalize') }).normalise).toBe(true);
  });

  it.each([0, -5, 1e12, 'many'])('is refused with %s for positions', (positions) => {
    const config = { model_type: 'bert', max_position_embeddings: positions };
    expect(() => read({ 'config.json': config })).toThrow(
      `config.json: max_position_embeddings is ${positions}, not an integer`,
    );
  });

  it.each(['config.json', 'tokenizer.json', 'modules.json'])('is refused where %s is null', (file) => {
    expect(() => read({ [file]: null })).toThrow(`${file}: it holds null and no object`);
  });

  it('takes the graph that optimum calls model.onnx before a quantised one', () => {
    const graph = (files: Readonly<Record<string, unknown>>) => {
      const directory = directoryOf({ 'model.onnx': undefined, ...files });
      return readEncoderDirectory(directory).graphPath.slice(directory.length + 1);
    };
    expect(graph({ 'onnx/model.onnx': 'x', 'onnx/model_quantized.onnx': 'x' })).toBe('onnx/model.onnx');
    expect(graph({ 'onnx/model_quantized.onnx': 'x' })).toBe('onnx/model_quantized.onnx');
    expect(graph({ 'onnx/model_O2.onnx': 'x' })).toBe('onnx/model_O2.onnx');
    expect(() => graph({})).toThrow('no .onnx file');
    expect(() => graph({ 'a.onnx': 'x', 'b.onnx': 'x' })).toThrow('several .onnx files');
  });

  it.each([
    [{ id2label: { 0: 'LABEL_0' } }, 'rerank', ['LABEL_0']],
    [{ id2label: { 1: 'yes', 0: 'no' } }, 'classify', ['no', 'yes']],
    [{ num_labels: 1 }, 'rerank', ['LABEL_0']],
    [{}, 'classify', ['LABEL_0', 'LABEL_1']],
  ])('tells a reranker from a classifier by its classes: %j', (config, task, labels) => {
    const architectures = ['BertForSequenceClassification'];
    expect(read({ 'config.json': { ...BASE['config.json'], architectures, ...config } })).toMatchObject({
      task,
      labels,
    });
  });

  it('leaves room for the positions that RoBERTa does not use', () => {
    const config = { model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 };
    expect(read({ 'config.json': config })).toMatchObject({ maxTokens: 512, padId: 1 });
  });

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['no config', { 'config.json': undefined }, 'has no config.json'],
    ['no tokenizer', { 'tokenizer.json': undefined }, 'has no tokenizer.json'],
    ['broken JSON', { 'config.json': '{' }, 'config.json: it cannot be read'],
    [
      'a layer that is not in the graph',
      { 'modules.json': modules('Transformer', 'Pooling', 'Dense') },
      'Dense',
    ],
    [
      'two poolings at once',
      { '1_Pooling/config.json': { pooling_mode_cls_token: true, pooling_mode_max_tokens: true } },
      'several poolings (cls, max)',
    ],
  ])('is refused with %s, and the error says where', (_what, files, where) => {
    expect(() => read(files)).toThrow(ModelFileError);
    expect(() => read(files)).toThrow(where);
  });
});
