import type { RouteDemands } from '../core/demands.ts';
import type { EncodeRequest } from '../core/encoder.ts';
import type { GenerateRequest } from '../core/request.ts';
import type { SensitiveDetector } from '../privacy/detector.ts';

/** Texts may demand by themselves to stay where nobody else reads them. */
export interface PrivacyRule {
  readonly detector: SensitiveDetector;
  /** The loosest class of deployment that may see a request in which something was found. */
  readonly whenFound: 'local' | 'private';
}

/**
 * What a request's texts demand. All of the body is read, not only what is understood of it: a relay sends all of it.
 * Token ids cannot be read, so they are taken for the worst; pictures and sound are not looked at.
 */
export function textDemands(
  request: GenerateRequest | EncodeRequest,
  rule: PrivacyRule | undefined,
): RouteDemands {
  if (rule === undefined) return {};
  const { detector, whenFound } = rule;
  const found =
    hasTokens(request) || detector.detect(textsOf(JSON.parse(request.wire.body.toString()))).size > 0;
  return found ? { privacy: whenFound } : {};
}

function hasTokens(request: GenerateRequest | EncodeRequest): boolean {
  if ('prompts' in request) return request.prompts.some(({ kind }) => kind === 'tokens');
  return 'inputs' in request && request.inputs.some((input) => typeof input !== 'string');
}

/** Every string in a JSON value, keys and long numbers included. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'number') yield String(value);
  else if (Array.isArray(value)) for (const item of value) yield* textsOf(item);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      yield key;
      yield* textsOf(item);
    }
}
