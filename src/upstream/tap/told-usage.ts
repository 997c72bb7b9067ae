import { skimObject, skipSpace } from '../../core/skim.ts';
import { applyEdits, type Edit, keyOf, leavingOut, pastComma } from '../wire/json-edits.ts';
import { jsonEvent } from './server-sent-event.ts';

const FIELD_BYTES = 'data:'.length;

const USAGE = Buffer.from('"usage"');
const NULL = Buffer.from('null');
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * The event of a chunk without its usage, which OpenAI tells only those who ask. Everything else in the chunk stays as it was
 * written: numbers, too, that a parser would change.
 *
 * @param data Of the event, which is JSON.
 * @returns Undefined: it goes so deep that it cannot be written again.
 */
export function withoutUsage(data: string): Buffer | undefined {
  const event = jsonEvent(data);
  const root = skimObject(event, FIELD_BYTES);
  if (root === undefined) return rewritten(data, { usage: undefined });
  const edits: Edit[] = [];
  root.members.forEach((member, index) => {
    if (keyOf(member) === 'usage') edits.push(leavingOut(event, root, index, index === edits.length));
  });
  return Buffer.concat(applyEdits(event, edits));
}

/** The same with this in its place. */
export function withUsage(data: string, usage: object): Buffer | undefined {
  return usageReplaced(jsonEvent(data), FIELD_BYTES, usage) ?? rewritten(data, { usage });
}

export interface ShownUsage {
  /** The client did not ask for it, and is not told but where servers tell those, too. */
  readonly hides: boolean;
  /** In place of what is told. */
  readonly counted: object | undefined;
  /** They are not a list, which clients need. */
  readonly lacksChoices: boolean;
}

/** The event of a chunk that tells of a usage, as its client is to see it. @returns Undefined: it goes too deep. */
export function shownUsage(data: string, { hides, counted, lacksChoices }: ShownUsage): Buffer | undefined {
  if (lacksChoices) return rewritten(data, { choices: [], ...(counted && { usage: counted }) });
  const shown = hides ? withoutUsage(data) : jsonEvent(data);
  if (counted === undefined || shown === undefined) return shown;
  return hides ? (usageReplaced(shown, FIELD_BYTES, counted) ?? shown) : withUsage(data, counted);
}

/** A reply with this in place of its usage, wherever that stands. @returns Undefined: it goes deeper than is looked into. */
export function usageReplaced(text: Buffer, from: number, usage: object): Buffer | undefined {
  const root = skimObject(text, from);
  if (root === undefined) return undefined;
  const bytes = Buffer.from(JSON.stringify(usage));
  const edits: Edit[] = [];
  for (const member of root.members) {
    const key = keyOf(member);
    if (key === 'usage') edits.push({ start: member.valueStart, end: member.valueEnd, bytes });
    else if (key === 'x_groq') replaceInside(text, member.valueStart, bytes, edits);
    else if (key === 'choices') replaceInEach(text, member.valueStart, bytes, edits);
  }
  return Buffer.concat(applyEdits(text, edits));
}

/** Of the objects of a list. */
function replaceInEach(text: Buffer, start: number, bytes: Buffer, edits: Edit[]): void {
  let at = skipSpace(text, start + 1);
  while (text[at] === OPEN_BRACE)
    at = skipSpace(text, pastComma(text, replaceInside(text, at, bytes, edits)));
}

/** Of the object that begins there. @returns The offset past it. */
function replaceInside(text: Buffer, start: number, bytes: Buffer, edits: Edit[]): number {
  const object = skimObject(text, start);
  for (const member of object?.members ?? [])
    if (keyOf(member) === 'usage' && text[member.valueStart] === OPEN_BRACE)
      edits.push({ start: member.valueStart, end: member.valueEnd, bytes });
  return object?.end ?? text.length;
}

/** Deeper than is looked into, or without what has to be there. */
function rewritten(data: string, changes: object): Buffer | undefined {
  try {
    return jsonEvent(JSON.stringify({ ...JSON.parse(data), ...changes }));
  } catch {
    return undefined;
  }
}

/**
 * The same for events that say of every chunk that its usage is null, as servers do that are asked for it. They are
 * not parsed: inside a string the quotes of the key would be escaped.
 *
 * @returns The bytes themselves where they say nothing of the kind.
 */
export function withoutNullUsage(events: Buffer): Buffer {
  let kept = events;
  let keptBytes = 0;
  let from = 0;
  for (let at = events.indexOf(USAGE); at >= 0; at = events.indexOf(USAGE, at + USAGE.length)) {
    const end = nullEnd(events, at);
    if (end < 0) continue;
    let start = at - 1;
    while (events[start] === SPACE) start -= 1;
    // Elsewhere it is no key.
    const isFirst = events[start] === OPEN_BRACE;
    if (!isFirst && events[start] !== COMMA) continue;
    if (kept === events) kept = Buffer.allocUnsafe(events.length);
    keptBytes += events.copy(kept, keptBytes, from, isFirst ? at : start);
    from = isFirst ? pastComma(events, end) : end;
  }
  if (kept === events) return events;
  keptBytes += events.copy(kept, keptBytes, from);
  return kept.subarray(0, keptBytes);
}

/** The offset past the `null` that the member has whose key begins at `start`, or −1 if it has something else. */
function nullEnd(text: Buffer, start: number): number {
  const colon = skipSpace(text, start + USAGE.length);
  if (text[colon] !== COLON) return -1;
  const value = skipSpace(text, colon + 1);
  for (let i = 0; i < NULL.length; i += 1) if (text[value + i] !== NULL[i]) return -1;
  return value + NULL.length;
}
