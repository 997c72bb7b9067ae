/** Every IEEE half-precision number as float32, by its 16 bits. */
export const HALF_TO_FLOAT: Float32Array = new Float32Array(65536);

for (let bits = 0; bits < 65536; bits++) {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) HALF_TO_FLOAT[bits] = sign * fraction * 2 ** -24;
  else if (exponent === 31) HALF_TO_FLOAT[bits] = fraction === 0 ? sign * Infinity : Number.NaN;
  else HALF_TO_FLOAT[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The half-precision number at a byte position, little-endian. */
export function halfAt(bytes: Uint8Array, position: number): number {
  return HALF_TO_FLOAT[bytes[position]! | (bytes[position + 1]! << 8)]!;
}
