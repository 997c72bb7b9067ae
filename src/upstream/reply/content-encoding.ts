import { brotliDecompressSync, constants, gunzipSync, inflateSync } from 'node:zlib';

/** `none` is no encoding's name; some servers say so to keep proxies from compressing their streams. */
const PLAIN: ReadonlySet<string> = new Set(['identity', 'none']);
/** What comes out of a text that is worth reading. */
const MOST_BYTES = 1024 * 1024;
/** The end may be missing. */
const ZLIB = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MOST_BYTES };
const BROTLI = { finishFlush: constants.BROTLI_OPERATION_FLUSH, maxOutputLength: MOST_BYTES };

export function encodingOf(headers: ReadonlyMap<string, string>): string {
  return headers.get('content-encoding')?.toLowerCase() || 'identity';
}

export function isPlain(encoding: string): boolean {
  return PLAIN.has(encoding);
}

/**
 * The beginning of a body, decoded; as it came where that cannot be done, since some proxies decode it and say that
 * they have not.
 */
export function decoded(bytes: Buffer, encoding: string): Buffer {
  try {
    switch (encoding) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(bytes, ZLIB);
      case 'deflate':
        return inflateSync(bytes, ZLIB);
      case 'br':
        return brotliDecompressSync(bytes, BROTLI);
      default:
        return bytes;
    }
  } catch {
    return bytes;
  }
}
