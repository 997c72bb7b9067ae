import type { GenerateRequest } from '../core/request.ts';

/** What a classifier looks at. */
export interface Asked {
  /** What the user said last. */
  readonly question: string;
  readonly sizeChars: number;
  readonly turns: number;
  readonly tools: boolean;
  readonly structured: boolean;
}

/** Longer questions are judged by their beginning and their end, where they say what is wanted. */
const JUDGED_CHARS = 8_000;

export function askedOf({ prompts, tools, structure, wire }: GenerateRequest): Asked {
  const prompt = prompts[0];
  const messages = prompt?.kind === 'chat' ? prompt.messages : [];
  const said = messages.filter(({ role }) => role === 'user');
  const last = (said.at(-1)?.content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  const question = prompt?.kind === 'text' ? prompt.text : last;
  return {
    question:
      question.length <= JUDGED_CHARS
        ? question
        : question.slice(0, JUDGED_CHARS / 2) + question.slice(-JUDGED_CHARS / 2),
    sizeChars: wire.body.length,
    turns: said.length,
    tools: tools.length > 0,
    structured: structure !== undefined,
  };
}
