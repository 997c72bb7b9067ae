import { z } from 'zod';
import type { Structure } from '../../core/request.ts';
import { boundedArray, optional } from './field.ts';
import { invalidValue } from './invalid-request.ts';
import { isDeeperThan } from './nesting.ts';

/** A regular expression, grammar or JSON text. */
const source = z.string().max(256 * 1_024);
const choices = boundedArray(z.string().max(16_384), 1_024);
const MOST_LEVELS = 64;

const schemaObject = z.union([z.object({}).loose(), z.boolean()]);

/** Every way to ask for constrained text: OpenAI's, vLLM's, and vLLM's older names. */
export const structuredOutputShape = {
  response_format: optional(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({
          name: z.string().min(1).max(256),
          schema: optional(schemaObject),
          strict: optional(z.boolean()),
        }),
      }),
      z.object({ type: z.literal('structural_tag') }),
    ]),
  ),
  structured_outputs: optional(
    z
      .object({
        json: optional(z.union([source, schemaObject])),
        regex: optional(source),
        choice: optional(choices),
        grammar: optional(source),
        json_object: optional(z.boolean()),
      })
      .loose(),
  ),
  guided_json: optional(z.union([source, z.object({}).loose()])),
  guided_regex: optional(source),
  guided_choice: optional(choices),
  guided_grammar: optional(source),
  guided_json_object: optional(z.boolean()),
};

export type StructuredOutputFields = z.output<z.ZodObject<typeof structuredOutputShape>>;

/** The field that asks for constrained text, if one does. */
export function structuredOutputParam(fields: StructuredOutputFields): string | undefined {
  if (fields.response_format && fields.response_format.type !== 'text') return 'response_format';
  if (fields.structured_outputs) return 'structured_outputs';
  if (fields.guided_json_object) return 'guided_json_object';
  const older = ['guided_json', 'guided_regex', 'guided_choice', 'guided_grammar'] as const;
  return older.find((name) => fields[name] !== undefined && fields[name] !== null);
}

/** What the text has to be; undefined when nothing was asked for, or a form that is only passed on to upstreams. */
export function toStructure(fields: StructuredOutputFields): Structure | undefined {
  const param = structuredOutputParam(fields);
  switch (param) {
    case undefined:
      return undefined;
    case 'response_format': {
      const format = fields.response_format!;
      if (format.type === 'json_object') return { param, kind: 'json', schema: ANY_OBJECT };
      if (format.type !== 'json_schema') return undefined;
      return { param, kind: 'json', schema: format.json_schema.schema ?? ANY_OBJECT };
    }
    case 'structured_outputs': {
      const { json, regex, choice, grammar, json_object } = fields.structured_outputs!;
      const asked = { json, regex, choice, grammar, json_object: json_object || undefined };
      const given = Object.values(asked).filter((value) => value !== undefined && value !== null);
      if (given.length > 1) throw invalidValue(param, 'must ask for one thing only');
      return (
        oneStructure(param, { json, regex, choice, grammar }) ??
        (json_object ? { param, kind: 'json', schema: ANY_OBJECT } : undefined)
      );
    }
    case 'guided_json_object':
      return { param, kind: 'json', schema: ANY_OBJECT };
    default:
      return oneStructure(param, {
        json: fields.guided_json,
        regex: fields.guided_regex,
        choice: fields.guided_choice,
        grammar: fields.guided_grammar,
      });
  }
}

const ANY_OBJECT = { type: 'object' };

interface Asked {
  readonly json?: unknown;
  readonly regex?: string | null | undefined;
  readonly choice?: readonly string[] | null | undefined;
  readonly grammar?: string | null | undefined;
}

function oneStructure(param: string, { json, regex, choice, grammar }: Asked): Structure | undefined {
  if (json !== undefined && json !== null) return { param, kind: 'json', schema: parsedSchema(json, param) };
  if (typeof regex === 'string') return { param, kind: 'regex', pattern: regex };
  if (choice) {
    if (choice.length === 0) throw invalidValue(param, 'must offer at least one choice');
    return { param, kind: 'choice', choices: choice };
  }
  return typeof grammar === 'string' ? { param, kind: 'grammar', text: grammar } : undefined;
}

/** vLLM also takes a schema as JSON text. */
function parsedSchema(json: unknown, param: string): unknown {
  if (typeof json !== 'string') return json;
  let schema: unknown;
  try {
    schema = JSON.parse(json);
  } catch {
    throw invalidValue(param, 'holds a schema that is not valid JSON');
  }
  if (isDeeperThan(schema, MOST_LEVELS))
    throw invalidValue(param, `is nested deeper than ${MOST_LEVELS} levels`);
  return schema;
}
