import { z } from 'zod';
import { AppError } from '../../core/error.ts';
import type { GenerateRequest, Requirement, WireRequest } from '../../core/request.ts';
import { boundedArray, optional, perLimits } from './field.ts';
import { fromIssues, invalidValue } from './invalid-request.ts';
import { completeLimits, type RequestLimits } from './limits.ts';
import { contentRequirements, messagesSchema, toMessage } from './message-schema.ts';
import { requireShallow } from './nesting.ts';
import { isPlainChat, plainChatRequest } from './plain-chat.ts';
import { generationShape, refuseBestOf, toSampling, toStopRules } from './sampling-fields.ts';
import { structuredOutputParam, structuredOutputShape, toStructure } from './structured-output.ts';
import { toolShape, toToolUse } from './tool-fields.ts';

/**
 * Fields that are not listed are accepted and unread: an upstream gets the bytes as they came. Among them are
 * `prediction` and what is yet to be invented.
 */
const chatSchema = perLimits((limits) =>
  z.object({
    ...generationShape(limits),
    ...structuredOutputShape,
    ...toolShape(limits),
    messages: messagesSchema(limits),
    max_tokens: optional(z.int().min(1)),
    max_completion_tokens: optional(z.int().min(1)),
    logprobs: optional(z.boolean()),
    top_logprobs: optional(z.int().min(0).max(limits.topLogprobs)),
    modalities: optional(boundedArray(z.string(), 8)),
    audio: optional(z.object({}).loose()),
    metadata: optional(z.object({}).loose()),
    store: optional(z.boolean()),
    verbosity: optional(z.string()),
    prompt_cache_key: optional(z.string()),
    safety_identifier: optional(z.string()),
    service_tier: optional(z.string()),
    reasoning_effort: optional(z.string().max(64)),
    chat_template: optional(z.unknown()),
    chat_template_kwargs: optional(z.object({}).loose()),
  }),
);

type ChatFields = z.output<ReturnType<typeof chatSchema>>;

/**
 * Maps the body of `POST /v1/chat/completions`. Throws an AppError with status 400 and the path of the field at fault,
 * and nothing else, whatever JSON value it is given.
 */
export function parseChatRequest(
  body: unknown,
  wire: WireRequest,
  id: string,
  givenLimits?: Partial<RequestLimits>,
): GenerateRequest {
  const limits = completeLimits(givenLimits);
  if (isPlainChat(body, limits) && body.messages.length > 0) return plainChatRequest(body, wire, id);
  const fields = checked(body, limits);
  if (fields.messages.length === 0) throw invalidValue('messages', 'must not be empty');
  refuseTemplates(fields);
  refuseBestOf(fields);

  const messages = fields.messages.map(toMessage);
  const { tools, toolChoice, param: toolsParam } = toToolUse(fields);
  const requirements: Requirement[] = contentRequirements(messages);
  if (toolsParam) requirements.push({ capability: 'tools', param: toolsParam });
  const structured = structuredOutputParam(fields);
  if (structured) requirements.push({ capability: 'structured-output', param: structured });
  if (fields.modalities?.includes('audio') && !requirements.some((r) => r.capability === 'audio'))
    requirements.push({ capability: 'audio', param: 'modalities' });

  return {
    id,
    endpoint: 'chat',
    model: fields.model,
    prompts: [{ kind: 'chat', messages }],
    n: fields.n ?? 1,
    sampling: toSampling(fields, limits),
    stop: toStopRules(fields, fields.max_completion_tokens ?? fields.max_tokens ?? undefined),
    tools,
    toolChoice,
    parallelToolCalls: fields.parallel_tool_calls ?? true,
    structure: toStructure(fields),
    templateVariables: toTemplateVariables(fields),
    ...(fields.cache_salt ? { cacheSalt: fields.cache_salt } : {}),
    topLogprobs: toTopLogprobs(fields),
    echo: false,
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    requirements,
    wire,
  };
}

function checked(body: unknown, limits: RequestLimits): ChatFields {
  requireShallow(body, limits.nestingDepth);
  const parsed = chatSchema(limits).safeParse(body);
  if (!parsed.success) throw fromIssues(parsed.error.issues, body);
  return parsed.data;
}

function toTopLogprobs(fields: ChatFields): number | undefined {
  const top = fields.top_logprobs ?? undefined;
  if (top !== undefined && !fields.logprobs)
    throw invalidValue('top_logprobs', 'needs `logprobs` to be true');
  return fields.logprobs ? (top ?? 0) : undefined;
}

/** Templates of reasoning models read `reasoning_effort` under that name, as vLLM passes it. */
function toTemplateVariables(fields: ChatFields): Record<string, unknown> {
  const effort = fields.reasoning_effort;
  return { ...(effort ? { reasoning_effort: effort } : {}), ...fields.chat_template_kwargs };
}

/** A template is a program; it comes with the model, never from a client. vLLM would read it from either place. */
function refuseTemplates(fields: ChatFields): void {
  const isNested = Object.hasOwn(fields.chat_template_kwargs ?? {}, 'chat_template');
  if ((fields.chat_template ?? undefined) === undefined && !isNested) return;
  throw new AppError('unsupported_parameter', {
    message: 'A chat template cannot be sent with a request: the template of the model is used.',
    param: isNested ? 'chat_template_kwargs.chat_template' : 'chat_template',
  });
}
