import type { Context } from 'hono';
import type { z } from 'zod';
import type { AppError } from '../../core/error.ts';
import { fromIssues, invalidValue, printable } from '../openai/invalid-request.ts';
import type { AppEnv } from './app-env.ts';
import { parseJson } from './parse-json.ts';

const MOST_BODY_BYTES = 64 * 1024;

/**
 * The parameters of the query string. One that is there several times is a list; SDKs put `[]` behind the names of lists.
 *
 * @throws AppError `invalid_value` that names the one at fault, also where it is unknown
 */
export function checkedQuery<T extends z.ZodType>(c: Context<AppEnv>, schema: T): z.output<T> {
  const given = Object.entries(c.req.queries()).map(([name, values]) => {
    const plain = name.endsWith('[]') ? name.slice(0, -2) : name;
    return [plain, values.length === 1 ? values[0] : values] as const;
  });
  return checked(schema, Object.fromEntries(given), parameterAtFault);
}

/** A small JSON object; no body stands for an empty one. @throws AppError as `Call.readJson` and `parseJson` do; `invalid_value` */
export async function checkedBody<T extends z.ZodType>(c: Context<AppEnv>, schema: T): Promise<z.output<T>> {
  const bytes = await c.get('call').readJson(MOST_BODY_BYTES);
  const value = bytes.length === 0 ? {} : parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidValue(undefined, 'must be an object');
  return checked(schema, value, fromIssues);
}

function checked<T extends z.ZodType>(schema: T, value: object, refusal: typeof fromIssues): z.output<T> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  if (unknown === undefined) throw refusal(issues, value);
  const path = [...unknown.path, unknown.keys[0]].map((key) => printable(String(key))).join('.');
  throw invalidValue(path, 'is not known here');
}

/** Nobody writes an index into a query string: a list is blamed as a whole, and its entry shown. */
function parameterAtFault([issue]: readonly z.core.$ZodIssue[]): AppError {
  const path = issue!.path.slice(0, 1);
  return fromIssues([{ ...issue!, path }], { [path[0]!]: issue!.input });
}
