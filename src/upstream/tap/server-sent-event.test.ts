import { expect, it } from 'vitest';
import { isSignOfLife } from './server-sent-event.ts';

it.each(['ping', '[PING]', 'keep-alive', 'ping - 2024-01-09 12:00:00.123Z', 'heartbeat    12:00', '-'])(
  'takes %j for a sign of life',
  (data) => {
    expect(isSignOfLife(data)).toBe(true);
  },
);

it.each(['', 'error', 'InternalError', 'server_error 500', 'two words', 'ping!', '{"a":1}'])(
  'takes %j for none',
  (data) => {
    expect(isSignOfLife(data)).toBe(false);
  },
);

it('does not try in vain for long', () => {
  expect(isSignOfLife(`ping${' -'.repeat(80_000)}!`)).toBe(false);
});
