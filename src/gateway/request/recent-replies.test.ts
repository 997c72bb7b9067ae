import { describe, expect, it } from 'vitest';
import { RecentReplies } from './recent-replies.ts';

describe('what is known of recent replies', () => {
  it('takes the longest of a project for its own, and what is usual for everybody', () => {
    const replies = new RecentReplies();
    for (let i = 0; i < 50; i++) replies.observe('b', 300, 3_000);
    replies.observe('a', 60_000, 600_000);
    expect(replies.mostOf('a')).toEqual({ tokens: 60_000, ms: 600_000 });
    expect(replies.mostOf('b').tokens).toBe(300);
    expect(replies.mostOf('b').ms).toBeCloseTo(replies.usualMs);
    expect(replies.mostOf('nobody')).toEqual({ tokens: 0, ms: replies.usualMs });
  });

  it('forgets the longest slowly', () => {
    const replies = new RecentReplies();
    replies.observe('a', 10_000, 1_000);
    replies.observe('a', 0, 1_000);
    expect(replies.mostOf('a').tokens).toBe(9_980);
  });

  it('remembers a thousand projects, and forgets who had no reply for long', () => {
    const replies = new RecentReplies();
    const known = (id: string) => replies.mostOf(id).tokens > 0;
    replies.observe('first', 5, 1);
    replies.observe('second', 5, 1);
    for (let i = 0; i < 2_000; i++) {
      replies.observe(`${i}`, 5, 1);
      if (i % 900 === 0) replies.observe('first', 5, 1);
    }
    expect([known('first'), known('second'), known('1001')]).toEqual([true, false, true]);
  });
});
