import { AppError } from '../core/error.ts';
import type { Exchange, ResponseHead } from './exchange.ts';
import { mapFailedReply } from './map-error.ts';
import { parseRetryAfter } from './retry-after.ts';
import type { Secrets } from './secrets.ts';

/** Enough for any error message; what comes after is not read. */
const MAX_BYTES = 64 * 1024;
const GRACE_MS = 2_000;

/**
 * Reads the beginning of a refusal's body and tells what the refusal means to our client. What cannot be read in time is
 * left out: the status says enough.
 */
export function readRefusal(
  exchange: Exchange,
  { status, headers }: ResponseHead,
  secrets: Secrets,
  tell: (error: AppError) => void,
): void {
  const pieces: Buffer[] = [];
  let bytesRead = 0;
  const finish = () => {
    const body = Buffer.concat(pieces).subarray(0, MAX_BYTES).toString('utf8');
    const retryAfterMs = parseRetryAfter(
      { retryAfter: headers.get('retry-after'), retryAfterMs: headers.get('retry-after-ms') },
      Date.now(),
    );
    tell(mapFailedReply({ status, body, retryAfterMs }, secrets));
  };
  exchange.handOver({
    onHead() {},
    onData(chunk) {
      pieces.push(chunk);
      bytesRead += chunk.length;
      // It ends with `onFailure`.
      if (bytesRead >= MAX_BYTES) exchange.fail(new AppError('upstream_error'));
    },
    onEnd: finish,
    onFailure: finish,
  });
  exchange.expire(GRACE_MS);
}
