import type { z } from 'zod';
import { AppError } from '../../core/error.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const ECHO_LENGTH = 64;

/** A 400 whose message names the field and what is wrong with it. `problem` continues the sentence "`param` …". */
export function invalidValue(param: string | undefined, problem: string): AppError {
  const message = param === undefined ? `The request body ${problem}.` : `\`${param}\` ${problem}.`;
  return new AppError('invalid_value', { message: `Invalid request: ${message}`, param });
}

/** Turns the first issue that zod found into a 400. `body` is what was parsed: zod's issues do not carry the value. */
export function fromIssues(issues: readonly Issue[], body: unknown): AppError {
  const first = issues[0];
  if (first === undefined) return invalidValue(undefined, 'is not valid');
  const { issue, path } = mostSpecific(first, first.path);
  const param = path.length === 0 ? undefined : formatPath(path);
  const value = valueAt(body, path);
  if (value === undefined && param !== undefined) {
    const wanted = issue.code === 'custom' ? '' : ` and ${describe(issue)}`;
    return invalidValue(param, `is required${wanted}`);
  }
  const shown = value === '' && issue.code === 'too_small' ? '' : preview(value);
  return invalidValue(param, `${describe(issue)}${shown === '' ? '' : `, but is ${shown}`}`);
}

/** `['messages', 0, 'content']` → `messages[0].content`. Keys come from the client: they are shortened. */
function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += `${text === '' ? '' : '.'}${printable(String(key))}`;
  }
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Shortened, and without control characters: safe to show in a message. */
export function printable(text: string, length = ECHO_LENGTH): string {
  const clean = text
    .slice(0, length)
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]/gu, '�');
  return text.length > length ? `${clean}…` : clean;
}

/** Of a failed union, the branch that got furthest: the client most probably meant that one. */
function mostSpecific(issue: Issue, path: Path): { issue: Issue; path: Path } {
  if (issue.code !== 'invalid_union') return { issue, path };
  let best: { issue: Issue; path: Path } = { issue, path };
  for (const branch of issue.errors) {
    const inner = branch[0];
    if (inner === undefined) continue;
    const found = mostSpecific(inner, [...path, ...inner.path]);
    const isDeeper = found.path.length > best.path.length;
    // At equal depth a wrong type only says that this was another branch; anything else is a real finding.
    const isTelling =
      best.issue === issue && found.path.length === best.path.length && found.issue.code !== 'invalid_type';
    if (isDeeper || isTelling) best = found;
  }
  return best;
}

function describe(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${article(issue.expected)}`;
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
        : `must have at most ${issue.maximum} ${units(issue.origin)}`;
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be ${issue.inclusive === false ? 'greater than' : 'at least'} ${issue.minimum}`
        : issue.minimum === 1
          ? 'must not be empty'
          : `must have at least ${issue.minimum} ${units(issue.origin)}`;
    case 'invalid_value':
      return `must be ${oneOf(issue.values.map((value) => JSON.stringify(value)))}`;
    case 'invalid_union': {
      const options = 'options' in issue && Array.isArray(issue.options) ? issue.options : undefined;
      if (options !== undefined) return `must be ${oneOf(options.map((option) => JSON.stringify(option)))}`;
      const expected = issue.errors.flatMap((branch) =>
        branch[0]?.code === 'invalid_type' ? [article(branch[0].expected)] : [],
      );
      return expected.length === 0 ? 'has an unsupported shape' : `must be ${oneOf([...new Set(expected)])}`;
    }
    case 'custom':
      return issue.message;
    default:
      return 'is not valid';
  }
}

function units(origin: string): string {
  return origin === 'string' ? 'characters' : 'entries';
}

function article(type: string): string {
  if (type === 'int') return 'an integer';
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type === 'record' ? 'object' : type}`.replace(
    'a object',
    'an object',
  );
}

function oneOf(options: readonly string[]): string {
  return options.length === 1 ? options[0]! : `${options.slice(0, -1).join(', ')} or ${options.at(-1)}`;
}

function valueAt(body: unknown, path: Path): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function preview(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value === '' ? 'an empty string' : `"${printable(value)}"`;
  if (Array.isArray(value)) return value.length === 0 ? '' : `an array of ${value.length}`;
  return typeof value === 'object' ? 'an object' : '';
}
