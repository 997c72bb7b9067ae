import { z } from 'zod';
import type { ContentPart, Message, ToolCall } from '../../core/message.ts';
import type { Requirement } from '../../core/request.ts';
import { boundedArray, optional } from './field.ts';
import type { RequestLimits } from './limits.ts';

const contentPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({
    type: z.literal('image_url'),
    image_url: z.union([z.string(), z.object({ url: z.string(), detail: optional(z.string()) })]),
  }),
  z.object({
    type: z.literal('input_audio'),
    input_audio: z.object({ data: z.string(), format: z.string() }),
  }),
  z.object({ type: z.literal('file'), file: z.object({}).loose() }),
  // vLLM's part for video models.
  z.object({ type: z.literal('video_url'), video_url: z.union([z.string(), z.object({}).loose()]) }),
]);

const toolCall = z.union([
  z.object({
    id: z.string(),
    type: optional(z.literal('function')),
    function: z.object({ name: z.string().min(1), arguments: z.string() }),
  }),
  z.object({
    id: z.string(),
    type: z.literal('custom'),
    custom: z.object({ name: z.string().min(1), input: z.string() }),
  }),
]);

type WirePart = z.output<typeof contentPart>;
type WireToolCall = z.output<typeof toolCall>;

/** The `messages` of a chat request, in every role that clients still send. */
export function messagesSchema(limits: RequestLimits) {
  const content = z.union([z.string(), boundedArray(contentPart, limits.partsPerMessage)]);
  const name = optional(z.string());
  const message = z.discriminatedUnion('role', [
    z.object({ role: z.enum(['system', 'developer', 'user']), content, name }),
    z.object({
      role: z.literal('assistant'),
      content: optional(content),
      refusal: optional(z.string()),
      name,
      tool_calls: optional(boundedArray(toolCall, limits.partsPerMessage)),
      function_call: optional(z.object({ name: z.string().min(1), arguments: z.string() })),
    }),
    z.object({ role: z.literal('tool'), content, tool_call_id: z.string() }),
    z.object({ role: z.literal('function'), content: optional(content), name: z.string() }),
  ]);
  return boundedArray(message, limits.messages);
}

export type WireMessage = z.output<ReturnType<typeof messagesSchema>>[number];

/** The old `function` role becomes `tool`, and its `function_call` a tool call whose id is the function's name. */
export function toMessage(message: WireMessage): Message {
  switch (message.role) {
    case 'system':
    case 'developer':
    case 'user':
      return {
        role: message.role,
        content: toContent(message.content),
        name: message.name ?? undefined,
      };
    case 'assistant': {
      const call = message.function_call;
      const calls = message.tool_calls?.map(toToolCall) ?? [];
      if (call) calls.push({ id: call.name, name: call.name, arguments: call.arguments });
      return {
        role: 'assistant',
        content: toContent(message.content ?? message.refusal ?? []),
        name: message.name ?? undefined,
        toolCalls: calls.length > 0 ? calls : undefined,
      };
    }
    case 'tool':
      return { role: 'tool', content: toContent(message.content), toolCallId: message.tool_call_id };
    case 'function':
      return {
        role: 'tool',
        content: toContent(message.content ?? []),
        name: message.name,
        toolCallId: message.name,
      };
  }
}

/** What the content asks of a deployment: one requirement per capability, with the first part that asked. */
export function contentRequirements(messages: readonly Message[]): Requirement[] {
  const found: Requirement[] = [];
  for (let m = 0; m < messages.length; m++) {
    const { content } = messages[m]!;
    for (let p = 0; p < content.length; p++) {
      const { type } = content[p]!;
      if (type === 'text' || found.some(({ capability }) => capability === type)) continue;
      found.push({ capability: type, param: `messages[${m}].content[${p}]` });
    }
  }
  return found;
}

function toContent(content: string | readonly WirePart[]): readonly ContentPart[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content.map(toPart);
}

function toPart(part: WirePart): ContentPart {
  switch (part.type) {
    case 'text':
      return part;
    case 'refusal':
      return { type: 'text', text: part.refusal };
    case 'image_url': {
      const image = typeof part.image_url === 'string' ? { url: part.image_url } : part.image_url;
      return {
        type: 'image',
        url: image.url,
        detail: ('detail' in image ? image.detail : null) ?? undefined,
      };
    }
    case 'input_audio':
      return { type: 'audio', data: part.input_audio.data, format: part.input_audio.format };
    case 'file':
      return { type: 'file', data: part.file };
    case 'video_url':
      return { type: 'file', data: part.video_url };
  }
}

function toToolCall(call: WireToolCall): ToolCall {
  return 'function' in call
    ? { id: call.id, name: call.function.name, arguments: call.function.arguments }
    : { id: call.id, name: call.custom.name, arguments: call.custom.input };
}
