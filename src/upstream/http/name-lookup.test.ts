import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { NameLookup } from './name-lookup.ts';

const at = (address: string): LookupAddress[] => [{ address, family: 4 }];

/** A name server that answers when it is told to. */
function names() {
  const clock = { nowMs: 0 };
  const questions: { host: string; answer(address: string): void; fail(): void }[] = [];
  const looked = new NameLookup(
    (host) =>
      new Promise((resolve, reject) =>
        questions.push({
          host,
          answer: (address) => resolve(at(address)),
          fail: () => reject(new Error(`no ${host}`)),
        }),
      ),
    () => clock.nowMs,
  );
  return { looked, questions, clock };
}

it('asks once for all that want to know a name at the same time, and not again within a second', async () => {
  const { looked, questions, clock } = names();
  const both = Promise.all([looked.addresses('a'), looked.addresses('a')]);
  questions[0]!.answer('10.0.0.1');
  expect(await both).toEqual([at('10.0.0.1'), at('10.0.0.1')]);
  clock.nowMs = 999;
  expect(await looked.addresses('a')).toEqual(at('10.0.0.1'));
  expect(questions).toHaveLength(1);
  clock.nowMs = 1_000;
  const anew = looked.addresses('a');
  questions[1]!.answer('10.0.0.2');
  expect(await anew).toEqual(at('10.0.0.2'));
});

it('goes by the last answer where a new one is late or fails, and tells who never had one', async () => {
  const { looked, questions, clock } = names();
  expect(looked.awaits('a')).toBe(false);
  const unknown = looked.addresses('a');
  expect(looked.awaits('a')).toBe(true);
  questions[0]!.fail();
  await expect(unknown).rejects.toThrow('no a');
  const first = looked.addresses('a');
  questions[1]!.answer('10.0.0.1');
  await first;
  clock.nowMs = 5_000;
  const failed = looked.addresses('a');
  expect(looked.awaits('a')).toBe(false);
  questions[2]!.fail();
  expect(await failed).toEqual(at('10.0.0.1'));
  expect(await looked.addresses('a')).toEqual(at('10.0.0.1'));
  // Who comes later does not wait anew for what is late already.
  clock.nowMs = 6_000;
  expect(await looked.addresses('a')).toEqual(at('10.0.0.1'));
  expect(questions).toHaveLength(4);
});

it('asks for three names at a time: a silent name server leaves threads to others', async () => {
  const { looked, questions } = names();
  const asked = ['a', 'b', 'c', 'd', 'e'].map((host) => looked.ask(host));
  expect(questions.map(({ host }) => host)).toEqual(['a', 'b', 'c']);
  questions[1]!.fail();
  await expect(asked[1]).rejects.toThrow('no b');
  expect(questions.map(({ host }) => host)).toEqual(['a', 'b', 'c', 'd']);
  questions[0]!.answer('10.0.0.1');
  await asked[0];
  expect(questions.map(({ host }) => host)).toEqual(['a', 'b', 'c', 'd', 'e']);
});

it.each([true, false])('is a look-up of sockets (that try all addresses: %s)', async (autoSelectFamily) => {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { lookup } = new NameLookup(async () => at('127.0.0.1'));
  await once(connect({ host: 'a.test', port, lookup, autoSelectFamily }), 'connect');
  const none = new NameLookup(async () => Promise.reject(new Error('no such name')));
  await expect(
    once(connect({ host: 'a.test', port, lookup: none.lookup, autoSelectFamily }), 'connect'),
  ).rejects.toThrow('no such name');
});
