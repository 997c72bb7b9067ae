import { expect, test } from 'vitest';
import { createUpstream } from './upstream.ts';

test('no more requests are let in than have a connection', async () => {
  const options = {
    name: 'a',
    url: 'http://127.0.0.1:9/v1',
    emit() {},
    concurrency: { initial: 256, max: 512 },
  };
  const few = createUpstream({ ...options, maxConnections: 16 });
  const many = createUpstream(options);
  expect([few.concurrency, many.concurrency]).toEqual([
    { initial: 16, max: 16 },
    { initial: 256, max: 512 },
  ]);
  await Promise.all([few.close(), many.close()]);
});
