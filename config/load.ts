import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type Config, configSchema } from './schema.ts';

/** A configuration that cannot be used. `message` is for people: file, path, value, and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** What `npm start` serves when there is no file: the embedded model on loopback. */
export const DEFAULT_CONFIG = { engines: [{ model: 'smollm2-135m-instruct' }] };

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not read it',
};

/** @throws ConfigError if the file cannot be read, is not YAML, names an unset variable or does not fit the schema. */
export function loadConfig(file: string, env: Readonly<Record<string, string | undefined>>): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = REASONS[code ?? ''] ?? message;
    throw new ConfigError(`Cannot read the configuration ${file}: ${reason}`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const problem = document.errors[0];
  if (problem) throw new ConfigError(`${file} is not valid YAML: ${withoutSource(problem.message)}.`);
  let value: unknown;
  try {
    value = document.toJS();
  } catch {
    throw new ConfigError(`${file} is not valid YAML: it has an alias (*name) without its anchor (&name).`);
  }
  // What an editor leaves for a moment while it saves must not take every model away.
  if (value === null || value === undefined)
    throw new ConfigError(`${file} is empty. Without any file the embedded model is served.`);
  return checkConfig(withEnvironment(value, env, file), file);
}

/** The message quotes the file, which may hold a key: logs and /readyz are no place for it. */
function withoutSource(message: string): string {
  return message.replace(/:\n.*/s, '').replace(/: .*(?= at line \d+, column \d+$)/s, '');
}

/** Validates a configuration object. `origin` names where it came from in errors. */
export function checkConfig(value: unknown, origin: string): Config {
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `  ${describe(issue, value)}`);
  throw new ConfigError(`${origin} does not fit:\n${lines.join('\n')}`);
}

function describe(issue: z.core.$ZodIssue, root: unknown): string {
  const path = issue.path
    .map((p, i) => (typeof p === 'number' ? `[${p}]` : i === 0 ? String(p) : `.${String(p)}`))
    .join('');
  const found = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    root,
  );
  const shown =
    isSecret(issue.path, found) || found === undefined || typeof found === 'object'
      ? ''
      : ` (found ${JSON.stringify(found)})`;
  return `${path || 'the top level'}: ${issue.message}${hint(issue)}${shown}`;
}

/** What is allowed instead, where the message does not say it. */
function hint(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `; allowed are ${allowedKeys(issue.path).join(', ')}`;
  if (issue.code === 'invalid_type' && issue.expected === 'array')
    return '; write a list: each entry begins with `- `, or all are in [ ]';
  return '';
}

/** The keys that the object at `path` may have. */
function allowedKeys(path: readonly PropertyKey[]): string[] {
  let schema: z.core.JSONSchema.BaseSchema = z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
  });
  for (const key of path) {
    const inner = typeof key === 'number' ? schema.items : schema.properties?.[String(key)];
    if (typeof inner !== 'object' || Array.isArray(inner)) return [];
    schema = inner as z.core.JSONSchema.BaseSchema;
  }
  return Object.keys(schema.properties ?? {});
}

function isSecret(path: readonly PropertyKey[], value: unknown): boolean {
  if (typeof value === 'string' && /[@?]/.test(value)) return true;
  return /key|token|secret|password/i.test(String(path.at(-1) ?? ''));
}

/** Replaces `${NAME}` in every string by the environment's value. */
function withEnvironment(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  file: string,
  path = '',
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, variable: string) => {
      const found = env[variable];
      if (found === undefined || found === '') {
        throw new ConfigError(
          `${file}: ${path} needs the environment variable ${variable}, which is not set.`,
        );
      }
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((item, i) => withEnvironment(item, env, file, `${path}[${i}]`));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        withEnvironment(item, env, file, path === '' ? key : `${path}.${key}`),
      ]),
    );
  }
  return value;
}
