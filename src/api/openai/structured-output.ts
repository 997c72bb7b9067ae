import { z } from 'zod';
import { boundedArray, optional } from './field.ts';

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
  structured_outputs: optional(z.object({}).loose()),
  guided_json: optional(z.union([z.string(), z.object({}).loose()])),
  guided_regex: optional(z.string()),
  guided_choice: optional(boundedArray(z.string(), 1_024)),
  guided_grammar: optional(z.string()),
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
