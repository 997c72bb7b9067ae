import { skimObject } from '../core/skim.ts';
import { applyEdits, type Edit, keyOf, leavingOut } from './json-edits.ts';
import type { Wire } from './wire-chunk.ts';

const DATA = Buffer.from('data: ');
const EVENT_END = Buffer.from('\n\n');

/**
 * The event of a chunk without its usage, which OpenAI tells only those who ask. Everything else in the chunk stays as it was
 * written: numbers, too, that a parser would change.
 *
 * @param data Of the event. @param chunk The same, parsed.
 */
export function withoutUsage(data: string, chunk: Wire): Buffer {
  // Between the lines of an event is white space, as JSON.
  const text = Buffer.from(data.replaceAll('\n', ' '));
  return Buffer.concat([DATA, ...remaining(text, chunk), EVENT_END]);
}

function remaining(text: Buffer, chunk: Wire): readonly Buffer[] {
  const root = skimObject(text);
  // Deeper than is looked into.
  if (root === undefined) return [Buffer.from(JSON.stringify({ ...chunk, usage: undefined }))];
  const edits: Edit[] = [];
  root.members.forEach((member, index) => {
    if (keyOf(member) === 'usage') edits.push(leavingOut(text, root, index, index === edits.length));
  });
  return applyEdits(text, edits);
}
