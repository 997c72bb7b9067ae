import { createHash } from 'node:crypto';
import { AppError } from '../../core/error.ts';
import { type Member, type SkimmedObject, skimObject } from '../../core/skim.ts';
import { applyEdits, type Edit, keyOf, leavingOut } from '../wire/json-edits.ts';
import { BodyKeys, refuseUsageLookAlike, seenOnce } from './body-keys.ts';

export interface SpliceOptions {
  /** The name under which the upstream serves the model. */
  readonly model: string;
  /** Sets `stream_options.include_usage` to true: the gateway meters every stream. */
  readonly forceUsage: boolean;
  /** Which members are left out or refused. */
  readonly keys?: BodyKeys;
  /**
   * How many tokens the request counts as asking for. Every limit in the body is made to say this; a text completion
   * without one is given it.
   */
  readonly maxTokens?: number | undefined;
  /** Servers differ in how long a text completion without a limit becomes: it always gets one. */
  readonly isCompletion?: boolean;
  /**
   * Sets `cache_salt`, so that what the upstream remembers of one tenant's prompts serves no other; a salt of the
   * client's own stays part of it.
   */
  readonly tenant?: string | undefined;
}

const TRUE = Buffer.from('true');
const WITH_USAGE = Buffer.from('{"include_usage":true}');
const NOTHING = Buffer.alloc(0);
const USUAL_KEYS = new BodyKeys();
const ZERO = 0x30;

let lastName = { model: '', bytes: Buffer.from('""') };

/** As JSON. Mostly the name is that of the last request. */
function nameBytes(model: string): Buffer {
  if (model !== lastName.model) lastName = { model, bytes: Buffer.from(JSON.stringify(model)) };
  return lastName.bytes;
}

let lastInserted = { text: '', bytes: NOTHING };

/** Mostly the text is what the last request was given. */
function textBytes(text: string): Buffer {
  if (text !== lastInserted.text) lastInserted = { text, bytes: Buffer.from(text) };
  return lastInserted.bytes;
}

/** @param own What the client says, as JSON; empty if nothing. */
function saltOf(tenant: string, own = ''): string {
  return createHash('sha256').update(`${tenant}\n${own}`).digest('base64url');
}

/**
 * The client's body with these replaced: `model`; for streams `stream_options.include_usage`; where there are
 * tenants `cache_salt`; and a limit of tokens that differs from what the request is taken for. What is withheld is
 * left out. Every other byte stays as it came. All occurrences of such a key are replaced, also those that are written
 * with escapes, so that it does not matter which of them the upstream's parser takes.
 *
 * @returns The pieces of the new body; of the old one they are views.
 * @throws AppError `invalid_json`; `invalid_value` if the upstream could read something else in it than the gateway
 *   (`BodyKeys`)
 */
export function spliceBody(body: Buffer, options: SpliceOptions): readonly Buffer[] {
  const root = skimObject(body);
  if (root === undefined) throw new AppError('invalid_json');
  return applyEdits(body, findEdits(body, root, options));
}

function findEdits(body: Buffer, root: SkimmedObject, options: SpliceOptions): Edit[] {
  const { keys = USUAL_KEYS, tenant, maxTokens } = options;
  const { withheld } = keys;
  const edits: Edit[] = [];
  let modelSeen = false;
  let optionsSeen = false;
  let saltSeen = false;
  let limitSeen = false;
  let seen = 0;
  let kept = 0;
  for (let index = 0; index < root.members.length; index += 1) {
    const member = root.members[index]!;
    const key = keyOf(member);
    if (withheld.has(key)) {
      edits.push(leavingOut(body, root, index, kept === 0));
      continue;
    }
    keys.refuseLookAlike(key);
    seen = seenOnce(seen, key);
    kept += 1;
    if (key === 'model') {
      modelSeen = true;
      edits.push(replacing(member, nameBytes(options.model)));
    } else if (key === 'stream_options' && options.forceUsage) {
      optionsSeen = true;
      edits.push(...usageEdits(body, member));
    } else if (key === 'cache_salt' && tenant !== undefined) {
      saltSeen = true;
      const own = body.toString('utf8', member.valueStart, member.valueEnd);
      edits.push(replacing(member, Buffer.from(JSON.stringify(saltOf(tenant, own)))));
    } else if (maxTokens !== undefined && (key === 'max_tokens' || key === 'max_completion_tokens')) {
      limitSeen ||= key === 'max_tokens';
      if (!isNumber(body, member, maxTokens)) edits.push(replacing(member, Buffer.from(String(maxTokens))));
    }
  }
  const missing: string[] = [];
  if (!modelSeen) missing.push(`"model":${JSON.stringify(options.model)}`);
  if (options.forceUsage && !optionsSeen) missing.push('"stream_options":{"include_usage":true}');
  if (tenant !== undefined && !saltSeen) missing.push(`"cache_salt":${JSON.stringify(saltOf(tenant))}`);
  if (options.isCompletion === true && !limitSeen && maxTokens !== undefined)
    missing.push(`"max_tokens":${maxTokens}`);
  if (missing.length > 0) edits.unshift(inserting(root, missing.join(','), kept > 0));
  return edits;
}

function usageEdits(body: Buffer, member: Member): Edit[] {
  const inner = skimObject(body, member.valueStart);
  if (inner === undefined) return [replacing(member, WITH_USAGE)];
  const edits: Edit[] = [];
  for (const own of inner.members) {
    const key = keyOf(own);
    refuseUsageLookAlike(key);
    if (key === 'include_usage') edits.push(replacing(own, TRUE));
  }
  return edits.length > 0 ? edits : [inserting(inner, '"include_usage":true', inner.members.length > 0)];
}

/** Written in digits and nothing else. */
function isNumber(body: Buffer, { valueStart, valueEnd }: Member, wanted: number): boolean {
  let number = 0;
  for (let at = valueStart; at < valueEnd; at += 1) {
    const digit = body[at]! - ZERO;
    if (digit < 0 || digit > 9) return false;
    number = number * 10 + digit;
  }
  return number === wanted;
}

function replacing(member: Member, bytes: Buffer): Edit {
  return { start: member.valueStart, end: member.valueEnd, bytes };
}

/** Inserts at the beginning of the object. @param followed Another member comes after it. */
function inserting(object: SkimmedObject, text: string, followed: boolean): Edit {
  const at = object.start + 1;
  return { start: at, end: at, bytes: textBytes(followed ? `${text},` : text) };
}
