/** Numbers uniform in [0, 1). */
export type Random = () => number;

/**
 * A stream of random numbers of its own for one sequence, fixed by `seed` (any integer). Algorithm: xoshiro128**
 * (Blackman and Vigna), its state filled by splitmix32 as its authors advise.
 */
export function seededRandom(seed: number): Random {
  let a = splitmix32(seed >>> 0);
  let b = splitmix32(Math.floor(seed / 2 ** 32) ^ a);
  let c = splitmix32(b);
  let d = splitmix32(c);
  const next = (): number => {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return scrambled;
  };
  // 53 bits: a sum over a large vocabulary must not feel the grain of 32.
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function splitmix32(state: number): number {
  let z = (state + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}
