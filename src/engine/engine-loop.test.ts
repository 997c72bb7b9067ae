import { expect, test, vi } from 'vitest';
import { FakeDecoder } from '../../test/engine/fake-decoder.ts';
import { completion, textOf } from '../../test/engine/requests.ts';
import { TINY, tinyTokenizer } from '../../test/engine/tiny-vocabulary.ts';
import { EngineLoop } from './engine-loop.ts';
import { type FromEngine, fromWirePart, toWireRequest, type WireDelivery } from './messages.ts';
import { RequestGrammars } from './request-grammars.ts';

const tokenizer = tinyTokenizer();

/** Those of `abc`; replies that are read back meanwhile are longer. */
function promptsComputed({ prefillSizes }: FakeDecoder): number {
  return prefillSizes.filter((size) => size === 3).length;
}

function loop(
  options: { slots?: number; queueLimit?: number; drained?: () => Promise<void> | undefined } = {},
) {
  const { slots = 2, queueLimit = 4, drained = () => undefined } = options;
  const decoder = new FakeDecoder({ vocabSize: TINY.size, slots, next: () => 0x61 });
  const sent: FromEngine[] = [];
  const engine = new EngineLoop({
    decoder,
    prompts: { tokenizer, template: undefined, contextTokens: 64 },
    grammars: new RequestGrammars({ tokenizer, template: undefined, contextTokens: 64 }, TINY.size),
    slots,
    queueLimit,
    prefixCacheBytes: 0,
    send: (message) => sent.push(JSON.parse(JSON.stringify(message))),
    drained,
  });
  const deliveries = (): WireDelivery[] => sent.flatMap((m) => (m.type === 'parts' ? m.deliveries : []));
  return {
    decoder,
    sent,
    deliveries,
    ended: () =>
      deliveries()
        .filter((d) => d.ended)
        .map((d) => d.id),
    parts: (id: number) =>
      deliveries()
        .filter((d) => d.id === id)
        .flatMap((d) => d.parts.map(fromWirePart)),
    submit: (id: number, text: string, changes = {}) =>
      engine.submit(id, toWireRequest(completion(text, changes))),
    cancel: (id: number) => engine.cancel(id),
  };
}

test('serves what is submitted and tells its steps', async () => {
  const engine = loop();
  engine.submit(1, 'abc', { stop: { maxTokens: 3 } });
  engine.submit(2, 'abc', { stop: { maxTokens: 3 } });
  await vi.waitFor(() => expect(engine.ended().sort()).toEqual([1, 2]));
  expect(engine.parts(1).map((p) => p.type)).toEqual([
    'start',
    'text-delta',
    'text-delta',
    'text-delta',
    'finish',
    'usage',
  ]);
  await vi.waitFor(() => expect(engine.sent.at(-1)?.type).toBe('stepped'));
});

test('an error of one request is its own', async () => {
  const engine = loop();
  engine.submit(1, 'x'.repeat(100));
  engine.submit(2, 'abc', { stop: { maxTokens: 1 } });
  await vi.waitFor(() => expect(engine.ended()).toHaveLength(2));
  const error = engine.parts(1).find((p) => p.type === 'error');
  expect(error?.error).toMatchObject({ code: 'context_length_exceeded', param: 'prompt', status: 400 });
});

test('what waits to be tokenised counts for the queue, and can be cancelled', async () => {
  const engine = loop({ slots: 1, queueLimit: 1 });
  engine.submit(1, 'abc', { stop: { maxTokens: 1 } });
  engine.submit(2, 'abc', { stop: { maxTokens: 1 } });
  engine.submit(3, 'abc', { stop: { maxTokens: 1 } });
  expect(engine.parts(3)).toMatchObject([{ type: 'error', error: { code: 'overloaded' } }]);
  engine.cancel(2);
  expect(engine.ended()).toEqual([3, 2]);
  await vi.waitFor(() => expect(engine.ended()).toEqual([3, 2, 1]));
  expect(promptsComputed(engine.decoder)).toBe(1);
});

test('what waits for its grammar counts for the queue, and can be cancelled', async () => {
  const engine = loop({ slots: 1, queueLimit: 1 });
  const structure = (pattern: string) => ({
    structure: { kind: 'regex', pattern, param: 'guided_regex' } as const,
  });
  engine.submit(1, 'abc', structure('a{3}'));
  engine.submit(2, 'abc', structure('b{3}'));
  engine.submit(3, 'abc');
  expect(engine.parts(3)).toMatchObject([{ type: 'error', error: { code: 'overloaded' } }]);
  engine.cancel(2);
  expect(engine.ended()).toEqual([3, 2]);
  await vi.waitFor(() => expect(engine.ended()).toEqual([3, 2, 1]), 20_000);
  expect(textOf(engine.parts(1))).toBe('aaa');
  expect(promptsComputed(engine.decoder)).toBe(1);
});

test('a grammar that cannot be used is refused, and only that', async () => {
  const engine = loop();
  engine.submit(1, 'abc', { structure: { kind: 'grammar', text: 'root ::= none', param: 'guided_grammar' } });
  engine.submit(2, 'abc', { structure: { kind: 'json', schema: { type: 'x' }, param: 'response_format' } });
  engine.submit(3, 'abc', { stop: { maxTokens: 1 } });
  await vi.waitFor(() => expect(engine.ended().toSorted()).toEqual([1, 2, 3]), 20_000);
  for (const [id, param] of [
    [1, 'guided_grammar'],
    [2, 'response_format'],
  ] as const)
    expect(engine.parts(id)).toMatchObject([{ type: 'error', error: { code: 'invalid_value', param } }]);
});

test('takes no step while the other side does not read', async () => {
  let read: () => void = () => {};
  let full = false;
  const engine = loop({
    drained: () => {
      if (!full) return undefined;
      return new Promise((resolve) => {
        read = resolve;
      });
    },
  });
  engine.submit(1, 'abc', { stop: { maxTokens: 20 } });
  full = true;
  await vi.waitFor(() => expect(engine.deliveries()).toHaveLength(1));
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(engine.deliveries()).toHaveLength(1);
  full = false;
  read();
  await vi.waitFor(() => expect(engine.ended()).toEqual([1]));
});
