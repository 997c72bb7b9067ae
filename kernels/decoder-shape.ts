/** The dimensions of a decoder graph that its runner has to know. */
export interface DecoderShape {
  readonly architecture: string;
  readonly vocabSize: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Positions the model was trained for: no sequence may be longer. */
  readonly maxContextTokens: number;
}
