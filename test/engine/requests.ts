import type { Part } from '../../src/core/part.ts';
import type { ResolvedSampling, StopRules } from '../../src/core/sampling.ts';
import type { EngineRequest } from '../../src/engine/messages.ts';

export const GREEDY: ResolvedSampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  typicalP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
  seed: undefined,
};

export const UNTIL_EOS: StopRules = {
  maxTokens: undefined,
  minTokens: 0,
  strings: [],
  tokenIds: [],
  ignoreEos: false,
  includeStopString: false,
};

type Changes = Partial<Omit<EngineRequest, 'sampling' | 'stop'>> & {
  readonly sampling?: Partial<ResolvedSampling>;
  readonly stop?: Partial<StopRules>;
};

export function completion(text: string, changes: Changes = {}): EngineRequest {
  const { sampling, stop, ...rest } = changes;
  return {
    id: 'req_test',
    endpoint: 'completion',
    model: 'tiny',
    prompts: [{ kind: 'text', text }],
    n: 1,
    sampling: { ...GREEDY, ...sampling },
    stop: { ...UNTIL_EOS, ...stop },
    tools: [],
    toolChoice: 'auto',
    parallelToolCalls: true,
    structure: undefined,
    templateVariables: {},
    topLogprobs: undefined,
    echo: false,
    stream: true,
    includeUsage: true,
    requirements: [],
    wire: { dialect: 'openai', path: '/completions', body: Buffer.alloc(0) },
    ...rest,
  };
}

export function chat(text: string, changes: Changes = {}): EngineRequest {
  return completion('', {
    endpoint: 'chat',
    prompts: [{ kind: 'chat', messages: [{ role: 'user', content: [{ type: 'text', text }] }] }],
    ...changes,
  });
}

/** The text of one choice. */
export function textOf(parts: readonly Part[], index = 0): string {
  return parts.map((p) => (p.type === 'text-delta' && p.index === index ? p.text : '')).join('');
}

export function tokensOf(parts: readonly Part[]): number {
  return parts.reduce((sum, p) => sum + (p.type === 'text-delta' ? p.tokens : 0), 0);
}

export function partOf<T extends Part['type']>(parts: readonly Part[], type: T): Extract<Part, { type: T }> {
  const found = parts.find((p) => p.type === type);
  if (found === undefined) throw new Error(`no ${type} part among ${parts.map((p) => p.type).join(', ')}`);
  return found as Extract<Part, { type: T }>;
}

export async function collect(parts: AsyncIterable<Part>): Promise<Part[]> {
  const collected: Part[] = [];
  for await (const part of parts) collected.push(part);
  return collected;
}
