import { AppError } from '../../core/error.ts';

/** Keys that splicing rewrites wherever they stand. */
const REWRITTEN = ['model', 'stream_options', 'cache_salt', 'max_tokens', 'max_completion_tokens'];

/** Keys by which requests are bounded and charged: where one is given twice, a server could take the other value. */
const ONCE = ['messages', 'prompt', 'stream', 'n', 'best_of'];

/**
 * The same in the words of some servers, which prefer them to the usual ones: llama.cpp, TabbyAPI,
 * text-generation-webui and those that hand the body to Hugging Face's libraries.
 */
const OTHER_WORDS = [
  'n_predict',
  'n_cmpl',
  'max_length',
  'max_new_tokens',
  'auto_max_new_tokens',
  'num_predict',
];

const BITS: ReadonlyMap<string, number> = new Map(ONCE.map((key, index) => [key, 1 << index]));

/**
 * The keys of a request's body that the gateway and a server have to understand alike, since prices, limits and
 * permissions go by them. Servers written in Go take `Model`, and even `ſtream`, for the field that it looks like
 * (`encoding/json` folds case); parsers differ in which of two equal keys they take. Nobody who means well sends such
 * bodies: they are refused.
 */
export class BodyKeys {
  readonly #withheld: ReadonlySet<string>;
  readonly #folded: ReadonlyMap<string, string>;

  /** @param withheld Members that the upstream does not get to see, besides those that only some servers understand. */
  constructor(withheld: readonly string[] = []) {
    this.#withheld = new Set([...withheld, ...OTHER_WORDS]);
    const all = [...REWRITTEN, ...ONCE, ...this.#withheld];
    this.#folded = new Map(all.map((key) => [fold(key), key]));
  }

  get withheld(): ReadonlySet<string> {
    return this.#withheld;
  }

  /** @throws AppError `invalid_value` */
  refuseLookAlike(key: string): void {
    if (isPlain(key)) return;
    const real = this.#folded.get(fold(key));
    if (real !== undefined && real !== key) throw lookAlike(key, real);
  }
}

/**
 * @throws AppError `invalid_value` if a server could take this member of `stream_options` for the one that the
 *   gateway sets.
 */
export function refuseUsageLookAlike(key: string): void {
  if (!isPlain(key) && key !== 'include_usage' && fold(key) === 'include_usage')
    throw lookAlike(`stream_options.${key}`, 'include_usage');
}

/** @returns What was seen of a body so far, with this key. @throws AppError `invalid_value` if it was seen before. */
export function seenOnce(seen: number, key: string): number {
  const bit = BITS.get(key) ?? 0;
  if ((seen & bit) === 0) return seen | bit;
  throw new AppError('invalid_value', {
    message: `Invalid request: \`${key}\` is given more than once.`,
    param: key,
  });
}

function lookAlike(key: string, real: string): AppError {
  return new AppError('invalid_value', {
    message: `Invalid request: some servers would take \`${key}\` for \`${real}\`, so that it must not be there.`,
    param: key,
  });
}

/** In lower-case ASCII: it looks like nothing but itself. */
function isPlain(key: string): boolean {
  for (let i = 0; i < key.length; i += 1) {
    const code = key.charCodeAt(i);
    if (code > 0x7f || (code >= 0x41 && code <= 0x5a)) return false;
  }
  return true;
}

/** By way of upper case, which alone makes an `s` of `ſ`. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}
