import { type Member, skimObject } from '../../core/skim.ts';
import type { Usage } from '../../core/usage.ts';

const ZERO = 0x30;
const NINE = 0x39;
const N = 0x6e;
/** Safe as a number. */
const MAX_DIGITS = 15;

/**
 * The usage of a reply if it is written as nearly all are: whole numbers, and no details. Undefined: it may be one
 * all the same, which a parser will tell.
 */
export function plainUsage(text: Buffer, { valueStart, valueEnd }: Member): Usage | undefined {
  const object = skimObject(text, valueStart);
  if (object?.end !== valueEnd) return undefined;
  let promptTokens = -1;
  let completionTokens = -1;
  let totalTokens: number | undefined;
  for (const member of object.members) {
    if (member.keyEscaped) return undefined;
    switch (member.key) {
      case 'prompt_tokens':
        promptTokens = wholeNumber(text, member);
        break;
      case 'completion_tokens':
        completionTokens = wholeNumber(text, member);
        break;
      case 'total_tokens':
        totalTokens = wholeNumber(text, member);
        break;
      case 'cached_tokens':
      case 'prompt_cache_hit_tokens':
        return undefined;
      case 'prompt_tokens_details':
      case 'completion_tokens_details':
        if (text[member.valueStart] !== N) return undefined;
    }
  }
  if (promptTokens < 0 || completionTokens < 0) return undefined;
  // The sum says more.
  if (totalTokens !== undefined && totalTokens !== promptTokens + completionTokens) return undefined;
  return { promptTokens, completionTokens, cachedPromptTokens: 0, reasoningTokens: 0 };
}

/** −1 for everything else. */
function wholeNumber(text: Buffer, { valueStart, valueEnd }: Member): number {
  const digits = valueEnd - valueStart;
  if (digits > MAX_DIGITS || (digits > 1 && text[valueStart] === ZERO)) return -1;
  let number = 0;
  for (let at = valueStart; at < valueEnd; at += 1) {
    const digit = text[at]!;
    if (digit < ZERO || digit > NINE) return -1;
    number = number * 10 + digit - ZERO;
  }
  return number;
}
