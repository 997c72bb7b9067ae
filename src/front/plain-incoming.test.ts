import { describe, expect, it } from 'vitest';
import { PlainIncoming } from './plain-incoming.ts';

function incoming(bodyBytes: number) {
  const headers = new Map([['host', 'a']]);
  const seen = { wanted: 0 };
  const one = new PlainIncoming({ path: '/p', headers, bodyBytes, keepAlive: true }, () => {
    seen.wanted += 1;
  });
  return { one, seen };
}

const bytes = (text: string) => Buffer.from(text);

describe('the body of a plain request', () => {
  it('is there at once if it has come, and stays when what it came in is used again', () => {
    const { one } = incoming(5);
    const sent = bytes('hello');
    expect(one.push(sent)).toBe(5);
    sent.fill(0);
    expect(String(one.body(10))).toBe('hello');
    expect([one.whole, one.pending]).toEqual([true, false]);
  });

  it('is nothing if it has no bytes', () => {
    const { one } = incoming(0);
    expect(one.push(bytes('next'))).toBe(0);
    expect(one.body(0)).toHaveLength(0);
  });

  it('ends where its length says, wherever it is cut', async () => {
    const text = 'hello world';
    for (let first = 0; first <= text.length; first++)
      for (let second = first; second <= text.length; second++) {
        const { one } = incoming(text.length);
        if (first > 0) one.push(bytes(text.slice(0, first)));
        const body = one.body(100);
        if (second > first) one.push(bytes(text.slice(first, second)));
        expect(one.push(bytes(`${text.slice(second)}POST`))).toBe(text.length - second);
        expect((await body).toString()).toBe(text);
      }
  });

  it('is asked for before the client sends on', () => {
    const { one, seen } = incoming(5);
    one.push(bytes('he'));
    expect([one.pending, seen.wanted]).toEqual([true, 0]);
    void one.body(10);
    expect([one.pending, seen.wanted]).toEqual([false, 1]);
  });

  it('is refused by its length before any of it is kept', () => {
    const { one } = incoming(11);
    expect(() => one.body(10)).toThrow(expect.objectContaining({ code: 'body_too_large' }));
  });

  it('fails when the client leaves before all of it is there', async () => {
    const { one } = incoming(5);
    const body = one.body(10);
    one.push(bytes('hell'));
    one.leave();
    await expect(body).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('is whole although the client leaves after it', async () => {
    const { one } = incoming(5);
    const body = one.body(10);
    one.push(bytes('hello'));
    one.leave();
    expect((await body).toString()).toBe('hello');
  });

  it.each([['all of it has come'], ['the client leaves']])('that is let go of ends once, when %s', (how) => {
    const { one, seen } = incoming(5);
    let ended = 0;
    one.push(bytes('he'));
    one.discard(() => {
      ended += 1;
    });
    expect([one.pending, seen.wanted, ended]).toEqual([false, 1, 0]);
    if (how === 'the client leaves') one.leave();
    else {
      expect(one.push(bytes('llo, next'))).toBe(3);
      one.leave();
    }
    expect(ended).toBe(1);
  });

  it('that is let go of late has ended', () => {
    const { one } = incoming(2);
    one.push(bytes('he'));
    let ended = false;
    one.discard(() => {
      ended = true;
    });
    expect(ended).toBe(true);
  });
});

it('headers are found by their names', () => {
  const { one } = incoming(0);
  expect([one.url, one.header('host'), one.header('x')]).toEqual(['/p', 'a', undefined]);
});
