import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ObjectEnd } from './object-end.ts';

function isWhole(bytes: Buffer, cuts: readonly number[] = []): boolean {
  const end = new ObjectEnd();
  const offsets = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  offsets.slice(1).forEach((offset, i) => {
    end.push(bytes.subarray(offsets[i], offset));
  });
  return end.isWhole;
}

it('knows a whole object from one that is cut off or followed by something, wherever its bytes are cut', () => {
  const text = fc.string({ unit: fc.constantFrom('\\', '"', '{', '}', '[', ']', ' ', 'a', 'é') });
  const objects = fc.dictionary(text, fc.oneof(text, fc.jsonValue(), fc.array(text)));
  fc.assert(
    fc.property(objects, fc.array(fc.nat()), fc.nat(), (object, cuts, at) => {
      const bytes = Buffer.from(JSON.stringify(object));
      expect(isWhole(bytes, cuts)).toBe(true);
      expect(isWhole(bytes.subarray(0, at % bytes.length), cuts)).toBe(false);
      expect(isWhole(Buffer.concat([bytes, Buffer.from(' \r\n\t')]), cuts)).toBe(true);
      expect(isWhole(Buffer.concat([bytes, Buffer.from(' {')]), cuts)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});
