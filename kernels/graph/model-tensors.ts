import type { GgufFile, GgufTensor } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';

/**
 * The tensors of a model by name. Checks shapes, and remembers what was asked for: a tensor that the graph does not use
 * means that the model is of another form than we think, and its output would be quietly wrong.
 */
export class ModelTensors {
  readonly #gguf: GgufFile;
  readonly #used = new Set<string>();

  constructor(gguf: GgufFile) {
    this.#gguf = gguf;
  }

  /** `dims` in GGUF order: [columns, rows] or [length]. Throws ModelFileError if missing or of another shape. */
  get(name: string, dims: readonly number[]): GgufTensor {
    const tensor = this.find(name, dims);
    if (tensor === undefined) throw new ModelFileError(this.#gguf.path, `the tensor ${name} is missing`);
    return tensor;
  }

  find(name: string, dims: readonly number[]): GgufTensor | undefined {
    const tensor = this.#gguf.tensors.get(name);
    if (tensor === undefined) return undefined;
    this.#used.add(name);
    // Trailing dimensions of 1 carry no meaning.
    const actual = tensor.dims.filter((dim, i) => i < dims.length || dim !== 1);
    if (actual.length !== dims.length || actual.some((dim, i) => dim !== dims[i]))
      throw new ModelFileError(
        this.#gguf.path,
        `the tensor ${name} has the shape [${tensor.dims.join(', ')}] where [${dims.join(', ')}] belongs`,
      );
    return tensor;
  }

  /** Throws ModelFileError when a tensor of the file was never asked for. */
  assertAllUsed(architecture: string): void {
    const unused = [...this.#gguf.tensors.keys()].filter((name) => !this.#used.has(name));
    if (unused.length > 0)
      throw new ModelFileError(
        this.#gguf.path,
        `${unused.length} tensors do not belong to the architecture ${architecture} as it is known here: ${unused.slice(0, 5).join(', ')}`,
      );
  }
}
