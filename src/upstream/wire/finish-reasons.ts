import { Buffer } from 'node:buffer';
import type { FinishReason } from '../../core/part.ts';
import { shortText } from '../../core/short-text.ts';
import { skipSpace } from '../../core/skim.ts';
import type { Wire } from './wire-chunk.ts';

const FINISH_REASON = Buffer.from('"finish_reason"');
/** Where its key has a rare byte: a search that begins with it hardly ever stops in vain. */
const RARE_AT = FINISH_REASON.indexOf('_');
const FROM_RARE = FINISH_REASON.subarray(RARE_AT);
const REASON_BYTES = 32;

const COLON = 0x3a;
const QUOTE = 0x22;

/** Undefined while the choice goes on. A reason that we do not know ends it all the same. */
export function finishReasonOf(choice: Wire): FinishReason | undefined {
  switch (choice.finish_reason) {
    case null:
    case undefined:
    // Some say so of every chunk.
    case '':
      return undefined;
    case 'length':
      return 'length';
    case 'tool_calls':
    case 'function_call':
      return 'tool-calls';
    case 'content_filter':
      return 'content-filter';
    default:
      return 'stop';
  }
}

/**
 * Finds the finish reasons of a reply without parsing it: those whose keys begin before `end`. Inside a JSON string
 * the quotes of the key would be escaped, so that text about finish reasons is not taken for one.
 *
 * @param reasons They are added to it.
 * @returns Whether none is an error.
 */
export function findFinishReasons(text: Buffer, end: number, reasons: FinishReason[]): boolean {
  let areGood = true;
  for (let at = text.indexOf(FROM_RARE); at >= 0; at = text.indexOf(FROM_RARE, at)) {
    const start = at - RARE_AT;
    if (start >= end) break;
    at += FROM_RARE.length;
    if (!isFinishReason(text, start)) continue;
    const value = wordAfterColon(text, at);
    if (value === undefined) continue;
    areGood &&= value !== 'error';
    const reason = finishReasonOf({ finish_reason: value });
    if (reason !== undefined) reasons.push(reason);
  }
  return areGood;
}

/** What comes before the rare byte fits, too. */
function isFinishReason(text: Buffer, start: number): boolean {
  for (let i = 0; i < RARE_AT; i += 1) if (text[start + i] !== FINISH_REASON[i]) return false;
  return true;
}

/** Of `: "word"`; undefined for everything else. */
function wordAfterColon(text: Buffer, from: number): string | undefined {
  const colon = skipSpace(text, from);
  if (text[colon] !== COLON) return undefined;
  const quote = skipSpace(text, colon + 1);
  if (text[quote] !== QUOTE) return undefined;
  let end = quote + 1;
  while (text[end] !== QUOTE) if (++end - quote > REASON_BYTES) return undefined;
  return shortText(text, quote + 1, end).text;
}
