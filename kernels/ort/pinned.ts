/** What a tensor may lie over. */
export type TensorData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

/**
 * An array whose memory never moves: one over an explicit buffer. Small arrays made from a length alone live on the
 * garbage collector's heap, which moves them while native code holds a pointer.
 */
export function pinned<T extends TensorData>(
  type: { new (buffer: ArrayBuffer, byteOffset: number, length: number): T; BYTES_PER_ELEMENT: number },
  length: number,
): T {
  return new type(new ArrayBuffer(Math.max(256, length * type.BYTES_PER_ELEMENT)), 0, length);
}
