/** What sets one decoder architecture apart from the others, in terms of its GGUF tensors. */
export interface Architecture {
  /** The value of `general.architecture`. */
  readonly name: string;
  /**
   * The file holds the rows of q and k in the order of interleaved rotary embeddings (pairs 2i, 2i+1), as llama.cpp's
   * converter writes them for some architectures; the graph rotates halves (i, i + D/2).
   */
  readonly interleavedRope: boolean;
  /** q, k and v have biases. */
  readonly qkvBias: boolean;
  /** Every head of q and k is RMS-normalised before the rotation. */
  readonly qkNorm: boolean;
}
