import { expect, it, vi } from 'vitest';
import { AppError } from '../../core/error.ts';
import { Call, type CallOptions } from './call.ts';
import { answer, type CallHandler } from './call-routes.ts';
import type { ClientReply } from './client-reply.ts';
import type { Incoming } from './incoming.ts';

const options: CallOptions = {
  corsOrigins: [],
  draining: () => false,
  door: { keysNeeded: false, authenticate: () => undefined },
};

function called(handler: CallHandler) {
  const release = vi.fn<() => void>();
  const incoming: Incoming = {
    url: '/v1/chat/completions',
    header: () => undefined,
    body: () => Buffer.from('{}'),
    release,
    discard() {},
  };
  const client: ClientReply = {
    signal: new AbortController().signal,
    started: false,
    takenBytes: 0,
    start() {},
    write: () => true,
    drained: () => Promise.resolve(),
    end() {},
    settled() {},
    takeBack: () => false,
    destroy() {},
  };
  const answered = answer(new Call(incoming, client, options), incoming.url, handler, () => {});
  return { answered, release };
}

it('the body is kept until the reply has ended, and not for longer', async () => {
  const replied = Promise.withResolvers<void>();
  const { answered, release } = called(() => replied.promise);
  await new Promise((resolve) => setImmediate(resolve));
  expect(release).not.toHaveBeenCalled();
  replied.resolve();
  await answered;
  expect(release).toHaveBeenCalledTimes(1);
});

it.each<[string, CallHandler]>([
  ['at once', () => Promise.reject(new AppError('invalid_json'))],
  [
    'with what is thrown',
    () => {
      throw new AppError('invalid_json');
    },
  ],
])('nor is that of a request that is refused %s', async (_, handler) => {
  const { answered, release } = called(handler);
  await answered;
  expect(release).toHaveBeenCalledTimes(1);
});
