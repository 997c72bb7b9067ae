import { asWire, isText, type Wire } from './wire-chunk.ts';

/** The choice of a chunk or a reply brings text, reasoning, a tool call, sound or a picture. */
export function hasContent(choice: Wire): boolean {
  return contentsOf(choice).some((content) =>
    Array.isArray(content) ? content.length > 0 : isText(content) || isObject(content),
  );
}

/** How many tokens a choice may have where the reply does not say; at least one. */
export function tokensOf(choice: Wire): number {
  return Math.max(1, tokensIn(charsIn(contentsOf(choice))));
}

/** How many tokens so many characters may be. */
export function tokensIn(chars: number): number {
  return Math.ceil(chars / USUAL_CHARS_PER_TOKEN);
}

const USUAL_CHARS_PER_TOKEN = 4;

function contentsOf(choice: Wire): readonly unknown[] {
  const body = asWire(choice.delta ?? choice.message);
  return [
    body.content,
    choice.text,
    body.reasoning,
    body.reasoning_content,
    body.refusal,
    body.tool_calls,
    body.function_call,
    body.audio,
    body.images,
  ];
}

/** Counts all text in it, also in parts and in the arguments of calls, but not base64. */
function charsIn(content: unknown): number {
  if (typeof content === 'string') return content.length;
  if (Array.isArray(content)) return content.reduce<number>((sum, part) => sum + charsIn(part), 0);
  const { text, thinking, transcript, function: called, name, arguments: given } = asWire(content);
  return [text, thinking, transcript, called, name, given].reduce<number>(
    (sum, part) => (part === undefined ? sum : sum + charsIn(part)),
    0,
  );
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
