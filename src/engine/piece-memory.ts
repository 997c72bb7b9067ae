import { hash } from 'node:crypto';

/** Shorter pieces take hardly any longer to tokenise than to look up. */
const LEAST_CHARS = 64;

/** What an entry takes beside its tokens: key, array, place in the map. */
const ENTRY_BYTES = 300;

export interface Piece {
  readonly text: string;
  /** Something stands before it in the prompt. */
  readonly continued: boolean;
  /** The tenant's salt. */
  readonly salt: string;
}

/**
 * What pieces of prompts between control tokens became, so that a chat's history is tokenised once and not at every turn: nothing is merged
 * across a control token, and a piece becomes the same tokens wherever it stands.
 *
 * Invariants:
 * - What was tokenised under one salt is not found under another: nobody can tell from the timing what somebody else
 * has sent.
 * - At most `maxBytes` are kept, and the least recently used make way. Of texts only digests are kept.
 */
export class PieceMemory {
  readonly #maxBytes: number;
  /** By digest, the one unused for longest first. */
  readonly #tokens = new Map<string, Int32Array>();
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @param encode Tokenises the piece, if it is not known. It must always give the same. */
  tokensOf(piece: Piece, encode: () => number[]): Iterable<number> {
    if (piece.text.length < LEAST_CHARS) return encode();
    const key = keyOf(piece);
    let tokens = this.#tokens.get(key);
    if (tokens === undefined) {
      tokens = Int32Array.from(encode());
      this.#sizeBytes += bytesOf(tokens);
    } else {
      this.#tokens.delete(key);
    }
    // A Map keeps the order of insertion.
    this.#tokens.set(key, tokens);
    this.#makeRoom();
    return tokens;
  }

  #makeRoom(): void {
    for (const [key, tokens] of this.#tokens) {
      if (this.#sizeBytes <= this.#maxBytes) return;
      this.#tokens.delete(key);
      this.#sizeBytes -= bytesOf(tokens);
    }
  }
}

/** The salt's length tells where it ends. */
function keyOf({ text, continued, salt }: Piece): string {
  return hash('sha256', `${continued ? 1 : 0}${salt.length}:${salt}${text}`, 'base64');
}

function bytesOf(tokens: Int32Array): number {
  return tokens.byteLength + ENTRY_BYTES;
}
