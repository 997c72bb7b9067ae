import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Piece, PieceMemory } from './piece-memory.ts';

const LONG = 'a sentence that is long enough to be worth remembering, and then some';

function piece(changes: Partial<Piece> = {}): Piece {
  return { text: LONG, continued: false, salt: '', ...changes };
}

/** Tells which pieces it had to tokenise. */
function counting(memory: PieceMemory) {
  const encoded: Piece[] = [];
  const ask = (asked: Piece) => [
    ...memory.tokensOf(asked, () => {
      encoded.push(asked);
      return tokensOf(asked);
    }),
  ];
  return { encoded, ask };
}

/** Every part of a piece counts. */
function tokensOf({ text, continued, salt }: Piece): number[] {
  return [...`${continued} ${salt} ${text}`].map((character) => character.codePointAt(0)!);
}

describe('a piece', () => {
  test('is tokenised once', () => {
    const { encoded, ask } = counting(new PieceMemory(1e6));
    expect(ask(piece())).toEqual(tokensOf(piece()));
    expect(ask(piece())).toEqual(tokensOf(piece()));
    expect(encoded).toHaveLength(1);
  });

  test('is not found under another salt, even where the two run together', () => {
    const { encoded, ask } = counting(new PieceMemory(1e6));
    const pieces = [
      piece({ salt: 'a' }),
      piece({ salt: 'ab' }),
      piece({ salt: 'a', text: `b${LONG}` }),
      piece(),
    ];
    for (const asked of pieces) ask(asked);
    expect(encoded).toEqual(pieces);
  });

  test('that has been used lately stays when others make way', () => {
    const { encoded, ask } = counting(new PieceMemory(2_000));
    const others = Array.from({ length: 20 }, (_, i) => piece({ salt: `${i}` }));
    for (const other of others) {
      ask(piece());
      ask(other);
    }
    expect(encoded).toEqual([piece(), ...others]);
    ask(others[0]!);
    expect(encoded).toHaveLength(22);
  });
});

test('whatever is asked, the tokens are right and the memory is bounded', () => {
  const anyPiece = fc.record({
    text: fc.integer({ min: 55, max: 75 }).map((length) => LONG.repeat(2).slice(0, length)),
    continued: fc.boolean(),
    salt: fc.constantFrom('', '1', '11', 'a'),
  });
  fc.assert(
    fc.property(
      fc.array(anyPiece, { maxLength: 60 }),
      fc.integer({ min: 0, max: 8_000 }),
      (pieces, maxBytes) => {
        const memory = new PieceMemory(maxBytes);
        const { ask } = counting(memory);
        for (const asked of pieces) {
          expect(ask(asked)).toEqual(tokensOf(asked));
          expect(memory.sizeBytes).toBeLessThanOrEqual(maxBytes);
        }
      },
    ),
  );
});
