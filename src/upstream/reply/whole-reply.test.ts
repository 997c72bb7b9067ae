import { expect, it } from 'vitest';
import { AppError } from '../../core/error.ts';
import { NO_SECRETS } from '../errors/secrets.ts';
import type { Exchange } from '../http/exchange.ts';
import { WholeReply } from './whole-reply.ts';

const CONTENT = 'word '.repeat(20_000);
const REPLY = `{"choices":[{"message":{"content":"${CONTENT}"},"finish_reason":"stop"}]}`;

function reading(answered = () => {}): WholeReply {
  const host = { secrets: NO_SECRETS, now: () => 0, answered, instead: () => undefined, ended() {} };
  const reply = new WholeReply(host, { isGeneration: true, hasLogprobs: false });
  const exchange = { hold() {}, fail: (error: AppError) => reply.onFailure(error) } as Partial<Exchange>;
  reply.onHead(exchange as Exchange, {
    status: 200,
    headers: new Map([['content-type', 'application/json']]),
  });
  return reply;
}

it('is there as a whole, however long, where one read brings all of it', async () => {
  const reply = reading();
  reply.onData(Buffer.from(REPLY));
  reply.onEnd();
  expect((await reply.begun).whole?.toString()).toBe(REPLY);
});

it('begins before its end where it is long', async () => {
  const reply = reading();
  reply.onData(Buffer.from(REPLY.slice(0, 80_000)));
  expect((await reply.begun).whole).toBeUndefined();
});

it('begins once where one read brings it in several chunks', async () => {
  let answers = 0;
  const reply = reading(() => {
    answers += 1;
  });
  for (const at of [0, 80_000, 80_100])
    reply.onData(Buffer.from(REPLY.slice(at, at === 0 ? 80_000 : at + 100)));
  await reply.begun;
  expect(answers).toBe(1);
});

it.each([
  ['is no reply', (reply: WholeReply) => reply.onEnd(), REPLY.replace('choices', 'chances')],
  ['is not complete', (reply: WholeReply) => reply.onEnd(), REPLY.slice(0, -1)],
  ['breaks off', (reply: WholeReply) => reply.onFailure(new AppError('upstream_error')), REPLY],
])('is never begun where the read that makes it long shows that it %s', async (_, end, text) => {
  const reply = reading();
  reply.onData(Buffer.from(text));
  end(reply);
  await expect(reply.begun).rejects.toMatchObject({ code: 'upstream_error', retryable: true });
});
