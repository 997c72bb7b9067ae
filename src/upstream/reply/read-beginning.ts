import { AppError } from '../../core/error.ts';
import type { Exchange, ResponseHead } from '../http/exchange.ts';
import { MarkFilter } from '../tap/byte-order-mark.ts';
import { decoded, encodingOf } from './content-encoding.ts';

/** Enough for any error message; what comes after is not read. */
const MAX_BYTES = 64 * 1024;
const GRACE_MS = 2_000;

/**
 * Reads the beginning of a body that is none of a reply, and ends the exchange. What cannot be read in time is left out.
 *
 * @param first Of the body, if any has been read.
 */
export function readBeginning(
  exchange: Exchange,
  { headers }: Pick<ResponseHead, 'headers'>,
  tell: (text: string) => void,
  first?: Buffer,
): void {
  const pieces: Buffer[] = first === undefined ? [] : [first];
  let bytesRead = first?.length ?? 0;
  const finish = () => {
    const body = decoded(Buffer.concat(pieces), encodingOf(headers));
    tell(new MarkFilter().push(body).subarray(0, MAX_BYTES).toString('utf8'));
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
