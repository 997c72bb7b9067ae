import { expect, it, vi } from 'vitest';
import { Exchange } from './exchange.ts';
import { Watchdog } from './watchdog.ts';

it('tells a reader that stumbles over the end that it has failed: nobody else would', () => {
  const onFailure = vi.fn();
  const onEnd = () => {
    throw new RangeError('too deep');
  };
  const exchange = new Exchange(
    {
      request: { head: '', body: [], bodyBytes: 0 },
      limits: { firstByteMs: 1_000, idleMs: 1_000, totalMs: 1_000 },
      signal: new AbortController().signal,
      reader: { onHead() {}, onData() {}, onEnd, onFailure },
    },
    { watchdog: new Watchdog(1_000, () => 0), now: () => 0, sendAnew() {} },
  );
  exchange.onEnd();
  expect(onFailure).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({ code: 'upstream_error', cause: expect.any(RangeError) }),
  );
});
