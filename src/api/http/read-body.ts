import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../core/error.ts';
import { refuseCostlyJson } from './costly-json.ts';

/** Of a body whose length is declared so much is put together as it comes; what is longer, in the end. */
const COLLECTED_BYTES = 1024 * 1024;

/**
 * The whole body of a Node request, refused as soon as it is known to be too large.
 * @throws AppError `body_too_large`, `client_closed`
 */
export function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const declared = Number(incoming.headers['content-length'] ?? 0);
  if (declared > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let collected: Buffer | undefined;
    let size = 0;
    const stop = () => {
      incoming.off('data', onData);
      incoming.off('end', onEnd);
      incoming.off('close', onClose);
    };
    const onData = (chunk: Buffer) => {
      const at = size;
      size += chunk.length;
      if (size > maxBytes) {
        stop();
        reject(tooLarge(maxBytes));
      } else if (at > 0 || chunk.length >= declared || declared > COLLECTED_BYTES) {
        if (collected === undefined) chunks.push(chunk);
        else chunk.copy(collected, at);
      } else {
        collected = Buffer.allocUnsafeSlow(declared);
        chunk.copy(collected);
      }
    };
    const onEnd = () => {
      stop();
      resolve(collected ?? (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)));
    };
    const onClose = () => {
      stop();
      reject(new AppError('client_closed'));
    };
    incoming.on('data', onData);
    incoming.on('end', onEnd);
    incoming.on('close', onClose);
    incoming.on('error', onClose);
  });
}

/** @throws AppError `invalid_encoding`, `invalid_json`, `invalid_value` */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new AppError('invalid_encoding');
  refuseCostlyJson(body);
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    throw new AppError('invalid_json', {
      message: `The request body is not valid JSON: ${(error as Error).message.slice(0, 200)}`,
    });
  }
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('body_too_large', {
    message: `The request body is larger than the limit of ${maxBytes} bytes.`,
  });
}
