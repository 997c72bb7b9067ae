import { AppError } from '../core/error.ts';
import type { Exchange } from './exchange.ts';

/** Enough for any error message; what comes after is not read. */
const MAX_BYTES = 64 * 1024;
const GRACE_MS = 2_000;

/** The beginning of a failed response's body. What cannot be read in time is left out: the status says enough. */
export function readErrorBody(exchange: Exchange): Promise<string> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytesRead = 0;
    const finish = () => resolve(Buffer.concat(pieces).subarray(0, MAX_BYTES).toString('utf8'));
    exchange.consume({
      onData(bytes) {
        pieces.push(bytes);
        bytesRead += bytes.length;
        if (bytesRead < MAX_BYTES) return;
        finish();
        exchange.fail(new AppError('upstream_error'));
      },
      onEnd: finish,
      onFailure: finish,
    });
    exchange.expire(GRACE_MS);
  });
}
