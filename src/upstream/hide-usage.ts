import { skimObject } from '../core/skim.ts';
import { applyEdits, type Edit, keyOf, leavingOut } from './json-edits.ts';
import { jsonEvent } from './server-sent-event.ts';

const FIELD_BYTES = 'data:'.length;

/**
 * The event of a chunk without its usage, which OpenAI tells only those who ask. Everything else in the chunk stays as it was
 * written: numbers, too, that a parser would change.
 *
 * @param data Of the event, which is JSON.
 */
export function withoutUsage(data: string): Buffer {
  const event = jsonEvent(data);
  const root = skimObject(event, FIELD_BYTES);
  // Deeper than is looked into.
  if (root === undefined) return jsonEvent(JSON.stringify({ ...JSON.parse(data), usage: undefined }));
  const edits: Edit[] = [];
  root.members.forEach((member, index) => {
    if (keyOf(member) === 'usage') edits.push(leavingOut(event, root, index, index === edits.length));
  });
  return Buffer.concat(applyEdits(event, edits));
}
