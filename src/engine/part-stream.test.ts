import { describe, expect, test } from 'vitest';
import type { Part } from '../core/part.ts';
import { PartStream } from './part-stream.ts';

const part = (text: string): Part => ({ type: 'text-delta', index: 0, text, tokens: 1 });
const nothing = (): undefined => undefined;

function streamOf() {
  let left = 0;
  const stream = new PartStream(() => left++);
  return { stream, left: () => left };
}

describe('pumped', () => {
  test('parts are taken in the turn in which they come, those that came before at once', async () => {
    const { stream } = streamOf();
    const taken: Part[] = [];
    stream.push([part('a')]);
    const pumped = stream.pump((one) => void taken.push(one));
    expect(taken).toEqual([part('a')]);
    stream.push([part('b'), part('c')]);
    expect(taken).toEqual([part('a'), part('b'), part('c')]);
    stream.end();
    await pumped;
  });

  test('while the reader is busy parts wait, and the end does', async () => {
    const { stream } = streamOf();
    const taken: Part[] = [];
    const busy = Promise.withResolvers<void>();
    const pumped = stream.pump((one) => {
      taken.push(one);
      return taken.length === 1 ? busy.promise : undefined;
    });
    stream.push([part('a'), part('b')]);
    stream.push([part('c')]);
    stream.end();
    expect(taken).toEqual([part('a')]);
    busy.resolve();
    await pumped;
    expect(taken).toEqual([part('a'), part('b'), part('c')]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('full'))],
  ])('a reader that %s leaves, takes no more and is told of it', async (_how, take) => {
    const { stream, left } = streamOf();
    let calls = 0;
    const pumped = stream.pump(() => {
      calls++;
      return take();
    });
    stream.push([part('a')]);
    stream.push([part('b')]);
    await expect(pumped).rejects.toThrow('full');
    stream.push([part('c')]);
    expect([calls, left()]).toEqual([1, 1]);
  });

  test('a reply that has ended costs no more work when its reader fails', async () => {
    const { stream, left } = streamOf();
    stream.push([part('a')]);
    stream.end();
    await expect(stream.pump(() => Promise.reject(new Error('full')))).rejects.toThrow('full');
    expect(left()).toBe(0);
  });
});

test('to leave an iteration stops the work, and to end it does not', async () => {
  const { stream, left } = streamOf();
  stream.push([part('a'), part('b')]);
  for await (const one of stream) {
    expect(one).toEqual(part('a'));
    break;
  }
  expect(left()).toBe(1);
  const whole = streamOf();
  whole.stream.end();
  await whole.stream.pump(nothing);
  expect(whole.left()).toBe(0);
});
