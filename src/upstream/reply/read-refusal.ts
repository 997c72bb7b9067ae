import type { AppError } from '../../core/error.ts';
import { mapFailedReply } from '../errors/failed-reply.ts';
import { parseRetryAfter } from '../errors/retry-after.ts';
import type { Secrets } from '../errors/secrets.ts';
import type { Exchange, ResponseHead } from '../http/exchange.ts';
import { readBeginning } from './read-beginning.ts';

/** Tells what a refusal means to our client. Where its body cannot be read in time, the status says enough. */
export function readRefusal(
  exchange: Exchange,
  head: ResponseHead,
  secrets: Secrets,
  tell: (error: AppError) => void,
): void {
  const { status, headers } = head;
  readBeginning(exchange, head, (body) => {
    const retryAfterMs = parseRetryAfter(
      { retryAfter: headers.get('retry-after'), retryAfterMs: headers.get('retry-after-ms') },
      Date.now(),
    );
    tell(mapFailedReply({ status, body, retryAfterMs }, secrets));
  });
}
