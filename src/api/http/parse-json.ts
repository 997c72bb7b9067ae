import { isUtf8 } from 'node:buffer';
import { AppError } from '../../core/error.ts';
import { refuseCostlyJson } from './costly-json.ts';

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
