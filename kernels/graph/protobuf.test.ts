import { describe, expect, it } from 'vitest';
import { bytesField, floatField, integerField, varint } from './protobuf.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('protobuf', () => {
  it.each([
    [0, '00'],
    [1, '01'],
    [127, '7f'],
    [150, '9601'],
    [2 ** 40, '808080808020'],
    [-1, 'ffffffffffffffffff01'],
  ])('writes %i as a varint', (value, expected) => {
    expect(hex(varint(value))).toBe(expected);
  });

  it('writes the examples of the encoding guide', () => {
    expect(hex(integerField(1, 150))).toBe('089601');
    expect(hex(bytesField(2, 'testing'))).toBe('120774657374696e67');
    expect(hex(bytesField(3, integerField(1, 150)))).toBe('1a03089601');
  });

  it('writes floats in four little-endian bytes, and fields above 15 with longer keys', () => {
    expect(hex(floatField(2, 1))).toBe('150000803f');
    expect(hex(integerField(20, 2))).toBe('a00102');
  });
});
