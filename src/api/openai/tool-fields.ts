import { z } from 'zod';
import type { Tool } from '../../core/message.ts';
import type { ToolChoice } from '../../core/request.ts';
import { boundedArray, optional } from './field.ts';
import { invalidValue } from './invalid-request.ts';
import type { RequestLimits } from './limits.ts';

const toolName = z.string().min(1).max(256);
const parameters = optional(z.object({}).loose());
const functionDefinition = z.object({ name: toolName, description: optional(z.string()), parameters });

const tool = z.discriminatedUnion('type', [
  z.object({ type: z.literal('function'), function: functionDefinition }),
  z.object({
    type: z.literal('custom'),
    custom: z.object({ name: toolName, description: optional(z.string()) }),
  }),
]);

const toolReference = z.discriminatedUnion('type', [
  z.object({ type: z.literal('function'), function: z.object({ name: toolName }) }),
  z.object({ type: z.literal('custom'), custom: z.object({ name: toolName }) }),
]);

/** `tools` and `tool_choice`, and their forerunners `functions` and `function_call`. */
export function toolShape(limits: RequestLimits) {
  return {
    tools: optional(boundedArray(tool, limits.tools)),
    tool_choice: optional(
      z.union([
        z.enum(['none', 'auto', 'required']),
        z.discriminatedUnion('type', [
          ...toolReference.options,
          z.object({
            type: z.literal('allowed_tools'),
            allowed_tools: z.object({
              mode: z.enum(['auto', 'required']),
              tools: boundedArray(toolReference, limits.tools),
            }),
          }),
        ]),
      ]),
    ),
    parallel_tool_calls: optional(z.boolean()),
    functions: optional(boundedArray(functionDefinition, limits.tools)),
    function_call: optional(z.union([z.enum(['none', 'auto']), z.object({ name: toolName })])),
  };
}

export type ToolFields = z.output<z.ZodObject<ReturnType<typeof toolShape>>>;

export interface ToolUse {
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice;
  /** The wire field that brought the tools; undefined when the model may not call any. */
  readonly param: 'tools' | 'functions' | undefined;
}

/** `allowed_tools` narrows the tools; a choice that names a tool must name one that is there. */
export function toToolUse(fields: ToolFields): ToolUse {
  const isOld = !fields.tools?.length && Boolean(fields.functions?.length);
  const declared = isOld ? fields.functions!.map(toTool) : (fields.tools ?? []).map(declaredTool);
  const choice = isOld ? fields.function_call : fields.tool_choice;
  const param = isOld ? 'function_call' : 'tool_choice';

  const requireDeclared = (name: string): void => {
    if (!declared.some((candidate) => candidate.name === name))
      throw invalidValue(param, 'names a tool that is not among the tools of the request');
  };
  let tools = declared;
  let toolChoice: ToolChoice = declared.length > 0 ? 'auto' : 'none';
  if (typeof choice === 'string') {
    if (choice === 'required' && declared.length === 0)
      throw invalidValue(param, 'is "required", but the request has no tools');
    toolChoice = declared.length > 0 ? choice : 'none';
  } else if (choice && 'allowed_tools' in choice) {
    const names = new Set(choice.allowed_tools.tools.map(referencedName));
    for (const name of names) requireDeclared(name);
    tools = declared.filter((candidate) => names.has(candidate.name));
    if (choice.allowed_tools.mode === 'required' && tools.length === 0)
      throw invalidValue(param, 'requires a tool call, but allows no tool');
    toolChoice = tools.length > 0 ? choice.allowed_tools.mode : 'none';
  } else if (choice) {
    const name = 'name' in choice ? choice.name : referencedName(choice);
    requireDeclared(name);
    toolChoice = { name };
  }
  const isUsable = tools.length > 0 && toolChoice !== 'none';
  return { tools, toolChoice, param: isUsable ? (isOld ? 'functions' : 'tools') : undefined };
}

function declaredTool(entry: z.output<typeof tool>): Tool {
  return entry.type === 'function'
    ? toTool(entry.function)
    : { name: entry.custom.name, description: entry.custom.description ?? undefined };
}

function toTool(definition: z.output<typeof functionDefinition>): Tool {
  return {
    name: definition.name,
    description: definition.description ?? undefined,
    parameters: definition.parameters ?? undefined,
  };
}

function referencedName(reference: z.output<typeof toolReference>): string {
  return reference.type === 'function' ? reference.function.name : reference.custom.name;
}
