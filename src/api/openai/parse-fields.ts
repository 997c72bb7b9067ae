import { isUtf8 } from 'node:buffer';
import { type Member, skimObject, skipSpace } from '../../core/skim.ts';
import { parseJson } from '../http/parse-json.ts';

/** Shorter bodies are parsed in a few microseconds, and what is wrong with them is told best by us. */
const UNREAD_FROM_BYTES = 16 * 1024;

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;

/**
 * Ends of the keys `image_url`, `input_audio` and `file_data`: parts of messages whose bytes say nothing of how much there is
 * to read. They begin with a rare byte, so that the search hardly stops.
 */
const MEDIA = ['_url"', '_audio"', '_data"'];
const LONGEST = 7;

const UNDERSCORE = 0x5f;
const MANY = 64;

export interface Fields {
  readonly fields: unknown;
  /** A stand-in takes the place of the prompt. */
  readonly unread: boolean;
}

/**
 * The fields of a generation's body. A long prompt is not parsed where nobody here has to read it, as that would
 * cost more than all the rest: the upstream will say what is wrong with it. All other fields are read as always.
 *
 * @param readsPrompts Whether serving the model takes more of a prompt than its bytes.
 * @throws AppError `invalid_encoding`, `invalid_json`, `invalid_value`
 */
export function parseFields(body: Buffer, readsPrompts: (model: string) => boolean): Fields {
  if (body.length >= UNREAD_FROM_BYTES && isUtf8(body)) {
    const brief = withoutPrompt(body);
    if (brief !== undefined) {
      const fields = parseJson(Buffer.from(brief)) as { readonly model?: unknown };
      const { model } = fields;
      if (typeof model === 'string' && !readsPrompts(model) && !hasMedia(body))
        return { fields, unread: true };
    }
  }
  return { fields: parseJson(body), unread: false };
}

/** Where the rare byte is rare there is one search for all of the keys. */
function hasMedia(body: Buffer): boolean {
  let at = body.indexOf(UNDERSCORE);
  for (let found = 0; at >= 0; at = body.indexOf(UNDERSCORE, at + 1)) {
    if (found++ === MANY) return MEDIA.some((key) => body.includes(key, at));
    const text = body.toString('latin1', at, at + LONGEST);
    if (MEDIA.some((key) => text.startsWith(key))) return true;
  }
  return false;
}

/**
 * The same object with a short prompt. Undefined: it is no object, has no prompt that can be skipped, or a key is written
 * with escapes, behind which an upstream's parser could find another prompt.
 */
function withoutPrompt(body: Buffer): string | undefined {
  const root = skimObject(body);
  if (root === undefined || skipSpace(body, root.end) < body.length) return undefined;
  let skipped = false;
  const members: string[] = [];
  for (const member of root.members) {
    if (member.keyEscaped) return undefined;
    const standIn = standInFor(body, member);
    skipped ||= standIn !== undefined;
    members.push(`"${member.key}":${standIn ?? body.toString('utf8', member.valueStart, member.valueEnd)}`);
  }
  return skipped ? `{${members.join(',')}}` : undefined;
}

function standInFor(body: Buffer, { key, valueStart, valueEnd }: Member): string | undefined {
  if (valueEnd - valueStart < UNREAD_FROM_BYTES / 2) return undefined;
  if (key === 'messages' && body[valueStart] === OPEN_BRACKET) return '[{"role":"user","content":""}]';
  return key === 'prompt' && body[valueStart] === QUOTE ? '""' : undefined;
}
