import { AppError } from '../core/error.ts';
import { type Member, type SkimmedObject, skimObject } from '../core/skim.ts';

export interface SpliceOptions {
  /** The name under which the upstream serves the model. */
  readonly model: string;
  /** Sets `stream_options.include_usage` to true: the gateway meters every stream. */
  readonly forceUsage: boolean;
}

/** Replaces bytes [start, end) of the body. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

const TRUE = Buffer.from('true');
const WITH_USAGE = Buffer.from('{"include_usage":true}');

let lastName = { model: '', bytes: Buffer.from('""') };

/** As JSON. Mostly it is that of the last request. */
function nameBytes(model: string): Buffer {
  if (model !== lastName.model) lastName = { model, bytes: Buffer.from(JSON.stringify(model)) };
  return lastName.bytes;
}

/**
 * The client's body with only `model`, and for streams `stream_options.include_usage`, replaced; every other byte stays
 * as it came. All occurrences of a duplicated key are replaced, so that it does not matter which of them the upstream's
 * parser takes. A key written with escapes at a level that is edited makes the whole body be parsed and serialised.
 *
 * @returns The pieces of the new body; of the old one they are views.
 */
export function spliceBody(body: Buffer, options: SpliceOptions): readonly Buffer[] {
  const root = skimObject(body);
  if (root === undefined) throw new AppError('invalid_json');
  const edits = findEdits(body, root, options);
  return edits === undefined ? [reserialise(body, options)] : applyEdits(body, edits);
}

/** Undefined: an escaped key stands where one of ours could hide. */
function findEdits(body: Buffer, root: SkimmedObject, options: SpliceOptions): Edit[] | undefined {
  const edits: Edit[] = [];
  let modelSeen = false;
  let optionsSeen = false;
  for (const member of root.members) {
    if (member.keyEscaped) return undefined;
    if (member.key === 'model') {
      modelSeen = true;
      edits.push(replacing(member, nameBytes(options.model)));
    } else if (member.key === 'stream_options' && options.forceUsage) {
      optionsSeen = true;
      const inner = usageEdits(body, member);
      if (inner === undefined) return undefined;
      edits.push(...inner);
    }
  }
  const missing: string[] = [];
  if (!modelSeen) missing.push(`"model":${JSON.stringify(options.model)}`);
  if (options.forceUsage && !optionsSeen) missing.push('"stream_options":{"include_usage":true}');
  if (missing.length > 0) edits.unshift(inserting(root, missing.join(',')));
  return edits;
}

function usageEdits(body: Buffer, member: Member): Edit[] | undefined {
  const inner = skimObject(body, member.valueStart);
  if (inner === undefined) return [replacing(member, WITH_USAGE)];
  const edits: Edit[] = [];
  for (const { key, keyEscaped, valueStart, valueEnd } of inner.members) {
    if (keyEscaped) return undefined;
    if (key === 'include_usage') edits.push({ start: valueStart, end: valueEnd, bytes: TRUE });
  }
  return edits.length > 0 ? edits : [inserting(inner, '"include_usage":true')];
}

function replacing(member: Member, bytes: Buffer): Edit {
  return { start: member.valueStart, end: member.valueEnd, bytes };
}

/** First in the object: a member must follow with a comma, unless there is none. */
function inserting(object: SkimmedObject, text: string): Edit {
  const at = object.start + 1;
  return { start: at, end: at, bytes: Buffer.from(object.members.length > 0 ? `${text},` : text) };
}

function applyEdits(body: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const edit of edits) {
    pieces.push(body.subarray(at, edit.start), edit.bytes);
    at = edit.end;
  }
  pieces.push(body.subarray(at));
  return pieces;
}

function reserialise(body: Buffer, options: SpliceOptions): Buffer {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new AppError('invalid_json', { cause });
  }
  parsed.model = options.model;
  if (options.forceUsage) {
    const given = parsed.stream_options;
    const kept = typeof given === 'object' && given !== null && !Array.isArray(given) ? given : {};
    parsed.stream_options = { ...kept, include_usage: true };
  }
  return Buffer.from(JSON.stringify(parsed));
}
