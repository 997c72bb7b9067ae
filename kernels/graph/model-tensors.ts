import { ModelFileError } from '../model-file-error.ts';
import { matrixRows, type WeightTensor } from '../weights/weight-tensor.ts';
import type { TensorRole } from './architectures/tensor-names.ts';
import type { DecoderSource } from './decoder-source.ts';

/** One tensor of a model: what it is for, and in which layer. */
export interface TensorKey {
  readonly role: TensorRole;
  readonly layer?: number;
  /** Default `weight`. */
  readonly kind?: 'weight' | 'bias';
}

/**
 * The tensors of a model by what they are for. Checks shapes, and remembers what was asked for: a tensor that the graph
 * does not use means that the model is of another form than we think, and its output would be quietly wrong.
 */
export class ModelTensors {
  readonly #source: DecoderSource;
  readonly #used = new Set<string>();

  constructor(source: DecoderSource) {
    this.#source = source;
  }

  /** `dims`: [columns, rows] or [length]. Throws ModelFileError if missing or of another shape. */
  get(key: TensorKey, dims: readonly number[]): WeightTensor {
    const tensor = this.find(key, dims);
    if (tensor === undefined)
      throw new ModelFileError(this.#source.path, `the tensor ${this.#nameOf(key)} is missing`);
    return tensor;
  }

  /** Matrices of `columns` columns that may be parts of one; `rows`: how many each has, in the order in which they would lie there. */
  getStacked(keys: readonly TensorKey[], columns: number, rows: readonly number[]): readonly WeightTensor[] {
    if (keys.some((key) => this.#nameOf(key) !== this.#nameOf(keys[0]!)))
      return keys.map((key, i) => this.get(key, [columns, rows[i]!]));
    const whole = this.get(keys[0]!, [columns, rows.reduce((sum, each) => sum + each)]);
    let start = 0;
    return rows.map((count) => {
      const part = matrixRows(whole, start, count);
      start += count;
      return part;
    });
  }

  find(key: TensorKey, dims: readonly number[]): WeightTensor | undefined {
    const name = this.#nameOf(key);
    const tensor = this.#source.tensors.get(name);
    if (tensor === undefined) return undefined;
    this.#used.add(name);
    // Trailing dimensions of 1 carry no meaning.
    const actual = tensor.dims.filter((dim, i) => i < dims.length || dim !== 1);
    if (actual.length !== dims.length || actual.some((dim, i) => dim !== dims[i]))
      throw new ModelFileError(
        tensor.path,
        `the tensor ${name} has the shape [${tensor.dims.join(', ')}] where [${dims.join(', ')}] belongs`,
      );
    return tensor;
  }

  /** Throws ModelFileError when a tensor of the file was never asked for. */
  assertAllUsed(): void {
    const { path, architecture, tensors } = this.#source;
    const unused = [...tensors.keys()].filter((name) => !this.#used.has(name));
    if (unused.length > 0)
      throw new ModelFileError(
        path,
        `${unused.length} tensors do not belong to the architecture ${architecture.name} as it is known here: ${unused.slice(0, 5).join(', ')}`,
      );
  }

  #nameOf({ role, layer, kind = 'weight' }: TensorKey): string {
    return `${this.#source.names[role]?.replace('{layer}', String(layer))}.${kind}`;
  }
}
