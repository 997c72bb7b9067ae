import type { RouteDemands } from '../../core/demands.ts';
import type { EncodeRequest } from '../../core/encoder.ts';
import type { GenerateRequest } from '../../core/request.ts';
import type { SensitiveDetector } from '../../privacy/detector.ts';
import { isMedia } from './media.ts';

/** By this rule a text's own content demands that it stays where nobody else reads it. */
export interface PrivacyRule {
  readonly detector: SensitiveDetector;
  /** Pictures, sound and files count as found. */
  readonly mediaCount: boolean;
  /** The loosest class of deployment that may see a request in which something was found. */
  readonly whenFound: 'local' | 'private';
}

/**
 * What a request's texts demand. All of the body is read, not only what is understood of it: a relay sends all of it.
 * Token ids cannot be read, so they are taken for the worst; pictures, sound and files are, where the rule says so.
 */
export function textDemands(
  request: GenerateRequest | EncodeRequest,
  rule: PrivacyRule | undefined,
): RouteDemands {
  if (rule === undefined) return {};
  const { detector, mediaCount, whenFound } = rule;
  const found =
    (mediaCount && hasMedia(request)) ||
    hasTokens(request) ||
    detector.detect([unescaped(request.wire.body.toString())]).size > 0;
  return found ? { privacy: whenFound } : {};
}

function hasTokens(request: GenerateRequest | EncodeRequest): boolean {
  if ('prompts' in request) return request.prompts.some(({ kind }) => kind === 'tokens');
  return 'inputs' in request && request.inputs.some((input) => typeof input !== 'string');
}

function hasMedia(request: GenerateRequest | EncodeRequest): boolean {
  return 'requirements' in request && request.requirements.some(isMedia);
}

/** Arguments of tool calls are JSON within JSON, and may hold some again. */
const MOST_NESTED = 4;

/**
 * All of a body as it is written, except that the escapes of its strings are undone. That includes members that a
 * parser passes over, because their name is there twice, all digits of long numbers, and each value beside its name,
 * which may say what it is.
 */
function unescaped(json: string): string {
  let text = json;
  for (let depth = 0; depth < MOST_NESTED && text.includes('\\'); depth += 1) {
    text = text.replace(ESCAPE, (_, code: string | undefined, character: string) =>
      code === undefined ? (BLANKS[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
  return text;
}

const ESCAPE = /\\(?:u([\da-fA-F]{4})|([\s\S]))/g;
const BLANKS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '', f: ' ' };
