/**
 * What all connections are read into. Whoever is given the bytes looks at them, and copies what has to stay, before
 * the next read. Node would set 64 KiB aside for each read, and leave them to the garbage collector.
 */
export const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Views for reads shorter than this are kept: the same sizes come again and again. */
const KEPT_BELOW_BYTES = 4 * 1024;
const views: (Buffer | undefined)[] = new Array(KEPT_BELOW_BYTES).fill(undefined);

/** What a read has brought. */
export function bytesRead(sizeBytes: number): Buffer {
  if (sizeBytes >= KEPT_BELOW_BYTES) return readBuffer.subarray(0, sizeBytes);
  let view = views[sizeBytes];
  if (view === undefined) {
    view = readBuffer.subarray(0, sizeBytes);
    views[sizeBytes] = view;
  }
  return view;
}
