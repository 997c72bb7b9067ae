import { createHash } from 'node:crypto';
import { AppError } from '../core/error.ts';
import { type Member, type SkimmedObject, skimObject, skipSpace } from '../core/skim.ts';

export interface SpliceOptions {
  /** The name under which the upstream serves the model. */
  readonly model: string;
  /** Sets `stream_options.include_usage` to true: the gateway meters every stream. */
  readonly forceUsage: boolean;
  /** Members that the upstream does not get to see. */
  readonly withheld?: ReadonlySet<string>;
  /** Sets `cache_salt`, so that what the upstream remembers of one tenant's prompts serves no other; a salt of the client's own stays part of it. */
  readonly tenant?: string | undefined;
}

/** Replaces bytes [start, end) of the body. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

const TRUE = Buffer.from('true');
const WITH_USAGE = Buffer.from('{"include_usage":true}');
const NOTHING = Buffer.alloc(0);
const NONE: ReadonlySet<string> = new Set();
const COMMA = 0x2c;

let lastName = { model: '', bytes: Buffer.from('""') };

/** As JSON. Mostly it is that of the last request. */
function nameBytes(model: string): Buffer {
  if (model !== lastName.model) lastName = { model, bytes: Buffer.from(JSON.stringify(model)) };
  return lastName.bytes;
}

/** @param own What the client says, as JSON; empty if nothing. */
function saltOf(tenant: string, own = ''): string {
  return createHash('sha256').update(`${tenant}\n${own}`).digest('base64url');
}

/**
 * The client's body with only `model`, for streams `stream_options.include_usage`, and where there are tenants `cache_salt`
 * replaced, and without what is withheld; every other byte stays as it came. All occurrences of a duplicated key are replaced, so that it does not matter which of them the upstream's
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
  const { withheld = NONE, tenant } = options;
  const edits: Edit[] = [];
  let modelSeen = false;
  let optionsSeen = false;
  let saltSeen = false;
  let kept = 0;
  for (let index = 0; index < root.members.length; index += 1) {
    const member = root.members[index]!;
    if (member.keyEscaped) return undefined;
    if (withheld.has(member.key)) {
      edits.push(leavingOut(body, root, index, kept === 0));
      continue;
    }
    kept += 1;
    if (member.key === 'model') {
      modelSeen = true;
      edits.push(replacing(member, nameBytes(options.model)));
    } else if (member.key === 'stream_options' && options.forceUsage) {
      optionsSeen = true;
      const inner = usageEdits(body, member);
      if (inner === undefined) return undefined;
      edits.push(...inner);
    } else if (member.key === 'cache_salt' && tenant !== undefined) {
      saltSeen = true;
      const own = body.toString('utf8', member.valueStart, member.valueEnd);
      edits.push(replacing(member, Buffer.from(JSON.stringify(saltOf(tenant, own)))));
    }
  }
  const missing: string[] = [];
  if (!modelSeen) missing.push(`"model":${JSON.stringify(options.model)}`);
  if (options.forceUsage && !optionsSeen) missing.push('"stream_options":{"include_usage":true}');
  if (tenant !== undefined && !saltSeen) missing.push(`"cache_salt":${JSON.stringify(saltOf(tenant))}`);
  if (missing.length > 0) edits.unshift(inserting(root, missing.join(','), kept > 0));
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
  return edits.length > 0 ? edits : [inserting(inner, '"include_usage":true', inner.members.length > 0)];
}

function replacing(member: Member, bytes: Buffer): Edit {
  return { start: member.valueStart, end: member.valueEnd, bytes };
}

/** First in the object. @param followed Another member stays behind it. */
function inserting(object: SkimmedObject, text: string, followed: boolean): Edit {
  const at = object.start + 1;
  return { start: at, end: at, bytes: Buffer.from(followed ? `${text},` : text) };
}

/** With the comma before it or, where nothing stays before it, the one behind it. */
function leavingOut(body: Buffer, { start, members }: SkimmedObject, index: number, isFirst: boolean): Edit {
  const { valueEnd } = members[index]!;
  const before = members[index - 1];
  if (before !== undefined && !isFirst) return { start: before.valueEnd, end: valueEnd, bytes: NOTHING };
  return {
    start: before === undefined ? start + 1 : pastComma(body, before.valueEnd),
    end: pastComma(body, valueEnd),
    bytes: NOTHING,
  };
}

/** Of the comma that follows, if one does. */
function pastComma(body: Buffer, from: number): number {
  const at = skipSpace(body, from);
  return body[at] === COMMA ? at + 1 : at;
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
  const { withheld = NONE, tenant } = options;
  for (const key of withheld) delete parsed[key];
  parsed.model = options.model;
  if (tenant !== undefined) {
    const own = parsed.cache_salt === undefined ? '' : JSON.stringify(parsed.cache_salt);
    parsed.cache_salt = saltOf(tenant, own);
  }
  if (options.forceUsage) {
    const given = parsed.stream_options;
    const kept = typeof given === 'object' && given !== null && !Array.isArray(given) ? given : {};
    parsed.stream_options = { ...kept, include_usage: true };
  }
  return Buffer.from(JSON.stringify(parsed));
}
