import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FrameError, FrameReader } from './frame.ts';

test('messages arrive whole and in order however the bytes are split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.map((m) => encodeFrame(m)));
        const reader = new FrameReader();
        const received: unknown[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!;
          received.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(received).toEqual(JSON.parse(JSON.stringify(messages)));
      },
    ),
  );
});

test('a frame over the cap is refused as soon as its length is known', () => {
  const reader = new FrameReader(10);
  const header = Buffer.alloc(4);
  header.writeUInt32LE(11, 0);
  expect(() => reader.push(header)).toThrow(FrameError);
});

test('a body that is not JSON is refused', () => {
  const frame = encodeFrame('abc');
  frame[4] = 0x7b;
  expect(() => new FrameReader().push(frame)).toThrow(FrameError);
});
