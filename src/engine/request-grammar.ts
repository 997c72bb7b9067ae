import { literal } from '../../kernels/grammar/code-points.ts';
import { GrammarError } from '../../kernels/grammar/grammar-error.ts';
import { JsonGrammar } from '../../kernels/grammar/json-grammar.ts';
import { asSchema } from '../../kernels/grammar/json-schema.ts';
import { Rules } from '../../kernels/grammar/rules.ts';
import { StringLimits } from '../../kernels/grammar/string-limits.ts';
import { checkedGrammar, choiceText, regexText } from '../../kernels/grammar/text-grammar.ts';
import { AppError } from '../core/error.ts';
import type { Tool } from '../core/message.ts';
import type { GenerateRequest, Structure } from '../core/request.ts';
import type { ToolDialect } from './tool-dialect.ts';

/** Calls that a reply may be made to consist of. */
const MOST_FORCED_CALLS = 8;

export interface RequestGrammar {
  readonly text: string;
  /** What the grammar leaves open; undefined: nothing. */
  readonly limits: StringLimits | undefined;
  /** The wire field to blame. */
  readonly param: string;
}

type Asked = Pick<GenerateRequest, 'structure' | 'tools' | 'toolChoice' | 'parallelToolCalls'>;

/**
 * What the reply to a request is held to; undefined: nothing. A tool call that is required is held to its schema.
 * One that is only allowed is free, except beside a structure: then the reply is one or the other. Throws AppError
 * `invalid_value`.
 */
export function requestGrammar(request: Asked, dialect: ToolDialect): RequestGrammar | undefined {
  const { structure, toolChoice } = request;
  const tools = callableTools(request);
  const isForced = isToolForced(request);
  if (!isForced && structure === undefined) return undefined;
  const param = isForced || structure === undefined ? 'tools' : structure.param;
  return blaming(param, () => {
    if (structure?.kind === 'grammar' && !isForced)
      return { param, text: checkedGrammar(structure.text), limits: undefined };
    const build = (limits?: StringLimits): string => {
      const rules = new Rules();
      const json = new JsonGrammar(rules, limits);
      const options: string[] = [];
      if (!isForced && structure !== undefined) options.push(structureText(structure, json, rules));
      if (tools.length > 0) {
        const several = request.parallelToolCalls && typeof toolChoice === 'string';
        for (const { name } of tools) limits?.need('name', name.length);
        options.push(callsText(tools, several, dialect, json, rules));
      }
      return rules.withRoot(options.join(' | '));
    };
    // Other texts may have quotes anywhere, so that it is not known what is a string.
    if (!isForced && structure?.kind !== 'json') return { param, text: build(), limits: undefined };
    const limits = new StringLimits();
    const text = build(limits);
    if (limits.isContradictory) return { param, text: build(), limits: undefined };
    return { param, text, limits: limits.isEmpty ? undefined : limits };
  });
}

/** The tools that a reply may call. */
export function callableTools({ tools, toolChoice }: Pick<Asked, 'tools' | 'toolChoice'>): readonly Tool[] {
  if (toolChoice === 'none') return [];
  return typeof toolChoice === 'string' ? tools : tools.filter(({ name }) => name === toolChoice.name);
}

export function isToolForced({ toolChoice }: Pick<Asked, 'toolChoice'>): boolean {
  return toolChoice === 'required' || typeof toolChoice !== 'string';
}

/** The 400 that a client gets for a grammar that cannot be used. */
export function grammarRefusal(error: GrammarError, param: string): AppError {
  return new AppError('invalid_value', {
    message: `Invalid request: \`${param}\` ${error.message}.`,
    param,
    cause: error,
  });
}

function blaming(param: string, build: () => RequestGrammar): RequestGrammar {
  try {
    return build();
  } catch (error) {
    throw error instanceof GrammarError ? grammarRefusal(error, param) : error;
  }
}

function structureText(structure: Structure, json: JsonGrammar, rules: Rules): string {
  switch (structure.kind) {
    case 'json':
      return json.add(asSchema(structure.schema));
    case 'regex':
      return regexText(structure.pattern, rules);
    case 'choice':
      return choiceText(structure.choices, rules);
    case 'grammar':
      throw new GrammarError('cannot be a grammar beside tools');
  }
}

function callsText(
  tools: readonly Tool[],
  several: boolean,
  dialect: ToolDialect,
  json: JsonGrammar,
  rules: Rules,
): string {
  const call = rules.add(() => tools.map((tool) => callText(tool, dialect, json)).join(' | '));
  if (!several || dialect === 'llama') return call;
  let rest = '""';
  for (let more = 1; more < MOST_FORCED_CALLS; more++) {
    const after = rest;
    rest = rules.add(() => `"" | ${literal('\n')} ${call} ${after}`);
  }
  return `${call} ${rest}`;
}

function callText({ name, parameters }: Tool, dialect: ToolDialect, json: JsonGrammar): string {
  const schema = asSchema(parameters ?? { type: 'object' });
  // Without a type it would allow arguments that are no object.
  const value = json.add(
    typeof schema === 'object' && schema.type === undefined ? { type: 'object', ...schema } : schema,
  );
  const key = dialect === 'hermes' ? 'arguments' : 'parameters';
  const open = `{"name": ${JSON.stringify(name)}, "${key}": `;
  return dialect === 'hermes'
    ? `${literal(`<tool_call>\n${open}`)} (${value}) ${literal('}\n</tool_call>')}`
    : `${literal(open)} (${value}) ${literal('}')}`;
}
