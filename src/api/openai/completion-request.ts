import { z } from 'zod';
import {
  choiceCount,
  type GenerateRequest,
  type Prompt,
  type Requirement,
  type WireRequest,
} from '../../core/request.ts';
import { MAX_TOKEN_ID, optional, perLimits } from './field.ts';
import { fromIssues, invalidValue } from './invalid-request.ts';
import { completeLimits, type RequestLimits } from './limits.ts';
import { requireShallow } from './nesting.ts';
import { generationShape, refuseBestOf, toSampling, toStopRules } from './sampling-fields.ts';
import { structuredOutputParam, structuredOutputShape, toStructure } from './structured-output.ts';

/** OpenAI's, also of null. An upstream is told so: some go on to the end of their context. */
const DEFAULT_MAX_TOKENS = 16;

const completionSchema = perLimits((limits) =>
  z.object({
    ...generationShape(limits),
    ...structuredOutputShape,
    prompt: z.custom<unknown>((value) => value !== undefined && value !== null, 'must be given'),
    // 0 with `echo` is how evaluation harnesses score a text.
    max_tokens: optional(z.int().min(0)),
    echo: optional(z.boolean()),
    suffix: optional(z.string()),
    logprobs: optional(z.int().min(0).max(limits.topLogprobs)),
  }),
);

/**
 * Maps the body of `POST /v1/completions`. Throws an AppError with status 400 and the path of the field at fault, and
 * nothing else, whatever JSON value it is given.
 */
export function parseCompletionRequest(
  body: unknown,
  wire: WireRequest,
  id: string,
  givenLimits?: Partial<RequestLimits>,
): GenerateRequest {
  const limits = completeLimits(givenLimits);
  requireShallow(body, limits.nestingDepth);
  const parsed = completionSchema(limits).safeParse(body);
  if (!parsed.success) throw fromIssues(parsed.error.issues, body);
  const fields = parsed.data;

  const prompts = toPrompts(fields.prompt, limits);
  const n = fields.n ?? 1;
  if (choiceCount({ n, prompts }) > limits.choices)
    throw invalidValue('n', `times the number of prompts must be at most ${limits.choices}`);
  refuseBestOf(fields);

  const requirements: Requirement[] = [];
  if (fields.suffix) requirements.push({ capability: 'suffix', param: 'suffix' });
  const structured = structuredOutputParam(fields);
  if (structured) requirements.push({ capability: 'structured-output', param: structured });

  return {
    id,
    endpoint: 'completion',
    model: fields.model,
    prompts,
    n,
    sampling: toSampling(fields, limits),
    stop: toStopRules(fields, fields.max_tokens ?? DEFAULT_MAX_TOKENS),
    tools: [],
    toolChoice: 'none',
    parallelToolCalls: true,
    structure: toStructure(fields),
    templateVariables: {},
    ...(fields.cache_salt ? { cacheSalt: fields.cache_salt } : {}),
    topLogprobs: fields.logprobs ?? undefined,
    echo: fields.echo ?? false,
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    requirements,
    wire,
  };
}

/** A string, a list of strings, a list of token ids, or a list of those. By hand: ids may be many, schema steps are slow. */
function toPrompts(prompt: unknown, limits: RequestLimits): Prompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }];
  if (!Array.isArray(prompt))
    throw invalidValue('prompt', 'must be a string, an array of strings, or token ids');
  if (prompt.length === 0) throw invalidValue('prompt', 'must not be empty');
  if (typeof prompt[0] === 'number') return [{ kind: 'tokens', tokens: toTokens(prompt, 'prompt') }];
  if (prompt.length > limits.prompts)
    throw invalidValue('prompt', `must have at most ${limits.prompts} prompts, but has ${prompt.length}`);
  return prompt.map((entry: unknown, index): Prompt => {
    const param = `prompt[${index}]`;
    if (typeof entry === 'string' && typeof prompt[0] === 'string') return { kind: 'text', text: entry };
    if (Array.isArray(entry) && Array.isArray(prompt[0])) {
      if (entry.length === 0) throw invalidValue(param, 'must not be empty');
      return { kind: 'tokens', tokens: toTokens(entry, param) };
    }
    throw invalidValue(
      param,
      'must be of the same kind as the other prompts: a string or an array of token ids',
    );
  });
}

function toTokens(values: readonly unknown[], param: string): readonly number[] {
  for (let i = 0; i < values.length; i++) {
    const id = values[i];
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID)
      throw invalidValue(`${param}[${i}]`, `must be a token id, an integer from 0 to ${MAX_TOKEN_ID}`);
  }
  return values as readonly number[];
}
