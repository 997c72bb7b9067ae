import { describe, expect, it, vi } from 'vitest';
import type { EncoderRow } from '../../kernels/encoder/feeds.ts';
import { TINY_TOKENIZER } from '../../test/encoder/tiny-encoder.ts';
import { EncoderLoop } from './encoder-loop.ts';
import { EncoderTokenizer } from './encoder-tokenizer.ts';
import { type FromEncoder, unpackRows, type WireEncodeRequest, type WireOutcome } from './messages.ts';

const tokenizer = new EncoderTokenizer(TINY_TOKENIZER, {});

/** A loop over a graph that is made up: a row's vector is its first ids. Batches wait until they are let go. */
function loopOver(
  options: {
    held?: boolean;
    batchTokens?: number;
    normalise?: boolean;
    lanes?: number;
    wide?: boolean;
    /** A millisecond is as many padded tokens, whatever the clock says; default: the clock's. */
    tokensPerMs?: number;
  } = {},
) {
  let computedMs = 0;
  const sent: FromEncoder[] = [];
  const batches: (readonly EncoderRow[])[] = [];
  const waiting: (() => void)[] = [];
  const places: ('alone' | 'beside')[] = [];
  const runIn = (place: 'alone' | 'beside') => async (rows: readonly EncoderRow[]) => {
    places.push(place);
    batches.push(rows);
    if (options.tokensPerMs !== undefined)
      computedMs += (rows.length * Math.max(...rows.map(({ ids }) => ids.length))) / options.tokensPerMs;
    if (options.held) await new Promise<void>((resolve) => waiting.push(resolve));
    if (rows.some(({ ids }) => ids[1] === 1)) throw new Error('the graph broke');
    if (options.wide) return rows.map(({ ids }) => new Float32Array(40_000).fill(ids[1]!));
    return rows.map(({ ids }) => Float32Array.from(Array.from(ids).slice(0, 3)));
  };
  const loop = new EncoderLoop({
    runner: { run: runIn('alone') },
    lanes: options.lanes === undefined ? undefined : { count: options.lanes, run: runIn('beside') },
    tokenizer,
    limits: { maxTokens: 8, normalise: options.normalise ?? false },
    batchTokens: options.batchTokens ?? 512,
    send: (message) => sent.push(message),
    now: options.tokensPerMs === undefined ? () => performance.now() : () => computedMs,
  });
  const outcomes = () => sent.flatMap((message) => (message.type === 'outcomes' ? message.outcomes : []));
  const outcomeOf = (id: number) => vi.waitUntil(() => outcomes().find((outcome) => outcome.id === id));
  return {
    loop,
    batches,
    places,
    outcomes,
    outcomeOf,
    sent,
    letGo: (most = Number.POSITIVE_INFINITY) => {
      for (const resolve of waiting.splice(0, most)) resolve();
    },
  };
}

function embed(inputs: readonly (string | readonly number[])[], extra: object = {}): WireEncodeRequest {
  return {
    id: 'r',
    endpoint: 'embeddings',
    model: 'm',
    inputs,
    dimensions: undefined,
    truncateTokens: undefined,
    ...extra,
  };
}

function rowsOf(outcome: WireOutcome): number[][] {
  if ('error' in outcome) throw new Error(outcome.error.message);
  return unpackRows(outcome.data, outcome.rows).map((row) => Array.from(row));
}

describe('the encoder loop', () => {
  it('answers with the vectors in the order of the inputs, whatever order they ran in', async () => {
    const { loop, outcomeOf } = loopOver({ batchTokens: 8 });
    loop.submit(1, embed(['cat dog cat dog good', 'cat', 'dog good', [4, 5, 6, 7]]));
    const outcome = await outcomeOf(1);
    expect(rowsOf(outcome)).toEqual([
      [2, 9, 10],
      [2, 9, 3],
      [2, 10, 4],
      [4, 5, 6],
    ]);
    expect(outcome).toMatchObject({ promptTokens: 7 + 3 + 4 + 4 });
  });

  it('sends many rows in several messages, each of which is soon read', async () => {
    const { loop, outcomeOf, sent } = loopOver({ wide: true });
    loop.submit(1, embed(Array.from({ length: 7 }, (_, i) => [9, 4 + i])));
    const outcome = await outcomeOf(1);
    const pieces = sent.flatMap((message) => (message.type === 'rows' ? [message] : []));
    expect(pieces.map(({ rows }) => rows)).toEqual([2, 2, 2]);
    const rows = [...pieces, outcome].flatMap((piece) => rowsOf(piece as WireOutcome));
    expect(rows.map(([first]) => first)).toEqual([4, 5, 6, 7, 8, 9, 10]);
  });

  it('runs the first request at once and those that come meanwhile together', async () => {
    const { loop, batches, letGo, outcomes } = loopOver({ held: true });
    loop.submit(1, embed(['cat']));
    await vi.waitUntil(() => batches.length === 1);
    for (let id = 2; id <= 9; id++) loop.submit(id, embed(['dog']));
    letGo();
    await vi.waitUntil(() => batches.length === 2);
    letGo();
    await vi.waitUntil(() => outcomes().length === 9);
    expect(batches.map((rows) => rows.length)).toEqual([1, 8]);
  });

  it('leaves a cancelled request out of the next batch and never answers it', async () => {
    const { loop, batches, letGo, outcomes } = loopOver({ held: true });
    loop.submit(1, embed(['cat']));
    await vi.waitUntil(() => batches.length === 1);
    loop.submit(2, embed(['dog']));
    loop.submit(3, embed(['dog', 'good']));
    loop.cancel(3);
    loop.cancel(1);
    letGo();
    await vi.waitUntil(() => batches.length === 2);
    letGo();
    await vi.waitUntil(() => outcomes().length > 0);
    expect(batches[1]!.length).toBe(1);
    expect(outcomes().map(({ id }) => id)).toEqual([2]);
  });

  it('does not let a large request hold up a small one', async () => {
    const { loop, batches, outcomeOf } = loopOver({ tokensPerMs: 1e9, batchTokens: 64 });
    loop.submit(1, embed(Array.from({ length: 2_000 }, () => 'cat dog')));
    loop.submit(2, embed(['good']));
    await outcomeOf(2);
    expect(batches.findIndex((rows) => rows.some(({ ids }) => ids[1] === 4))).toBeLessThanOrEqual(1);
    expect(rowsOf(await outcomeOf(1)).length).toBe(2_000);
  });

  it('begins a small request with the next batch, however much is tokenised ahead of it', async () => {
    const { loop, batches, letGo } = loopOver({ held: true, tokensPerMs: 1e9, batchTokens: 64 });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    loop.submit(1, embed(Array.from({ length: 2_000 }, () => 'cat dog')));
    await vi.waitUntil(() => batches.length === 1);
    await turn();
    loop.submit(2, embed(['good']));
    await turn();
    letGo();
    await vi.waitUntil(() => batches.length === 2);
    expect(batches[1]!.some(({ ids }) => ids[1] === 4)).toBe(true);
    loop.cancel(1);
    letGo();
  });

  it('computes less at a time while other requests are there', async () => {
    const { loop, batches, outcomeOf, letGo } = loopOver({ held: true, tokensPerMs: 4, batchTokens: 4_096 });
    loop.submit(1, embed(Array.from({ length: 2_000 }, () => 'cat dog')));
    for (let batch = 1; batch <= 3; batch++) {
      await vi.waitUntil(() => batches.length === batch);
      letGo();
    }
    await vi.waitUntil(() => batches.length === 4);
    const alone = batches[3]!.length;
    loop.submit(2, embed(['good']));
    letGo();
    await vi.waitUntil(() => batches.length === 5);
    const amongOthers = batches[4]!.length;
    letGo();
    await outcomeOf(2);
    loop.cancel(1);
    letGo();
    expect(amongOthers).toBeLessThan(alone / 2);
  });

  it.each<[string, WireEncodeRequest, object]>([
    [
      'a text that is too long',
      embed(['cat', 'cat '.repeat(20)]),
      {
        code: 'context_length_exceeded',
        param: 'input[1]',
        message: expect.stringContaining('22 tokens; this model takes at most 8'),
      },
    ],
    [
      'too many token ids',
      embed([[4, 4, 4, 4, 4, 4, 4, 4, 4]]),
      { code: 'context_length_exceeded', param: 'input', message: expect.stringContaining('9 tokens') },
    ],
    [
      'a token id outside of the vocabulary',
      embed([[4], [5, 11]]),
      { code: 'invalid_value', param: 'input[1][1]', message: expect.stringContaining('vocabulary has 11') },
    ],
  ])('names the input at fault: %s', async (_what, request, error) => {
    const { loop, outcomeOf, batches } = loopOver();
    loop.submit(1, request);
    expect(await outcomeOf(1)).toMatchObject({ error });
    expect(batches.flat().length).toBeLessThan(2);
  });

  it('cuts where the request asks for it', async () => {
    const { loop, outcomeOf } = loopOver();
    loop.submit(1, embed(['cat '.repeat(20), [4, 5, 6, 7]], { truncateTokens: 3 }));
    expect(await outcomeOf(1)).toMatchObject({ promptTokens: 6, rows: 2 });
    loop.submit(2, embed(['cat '.repeat(20)], { truncateTokens: 2 ** 31 - 1 }));
    expect(await outcomeOf(2)).toMatchObject({ promptTokens: 8 });
  });

  it('cuts vectors to the dimensions asked for, and brings them to length 1 afterwards', async () => {
    const { loop, outcomeOf } = loopOver({ normalise: true });
    loop.submit(1, embed([[4, 3, 9]], { dimensions: 2 }));
    const [vector] = rowsOf(await outcomeOf(1));
    expect(vector!.map((value) => value.toFixed(6))).toEqual(['0.800000', '0.600000']);
  });

  it('fails only the requests of a batch that broke, and goes on', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { loop, outcomeOf } = loopOver();
    loop.submit(1, embed([[4, 1]]));
    const cause = expect.stringMatching(/./);
    expect(await outcomeOf(1)).toMatchObject({ error: { code: 'internal_error', cause } });
    loop.submit(2, embed(['cat']));
    expect(rowsOf(await outcomeOf(2))).toEqual([[2, 9, 3]]);
    expect(stderr).toHaveBeenCalled();
    stderr.mockRestore();
  });

  it('spreads what is there over its lanes, and gives what comes later to the first that is free', async () => {
    const { loop, batches, places, letGo, outcomes } = loopOver({ held: true, lanes: 2 });
    for (let id = 1; id <= 9; id++) loop.submit(id, embed(['cat']));
    await vi.waitUntil(() => batches.length === 2);
    loop.submit(10, embed(['dog']));
    loop.submit(11, embed(['dog']));
    await new Promise(setImmediate);
    expect(batches.map((rows) => rows.length)).toEqual([5, 4]);
    letGo(1);
    await vi.waitUntil(() => batches.length === 3);
    expect(outcomes().length).toBe(5);
    letGo();
    await vi.waitUntil(() => outcomes().length === 11);
    expect(batches.map((rows) => rows.length)).toEqual([5, 4, 2]);
    expect(new Set(places)).toEqual(new Set(['beside']));
  });

  it('gives all threads to what is too little for its lanes, but not beside a batch in one', async () => {
    const { loop, places, letGo, outcomeOf } = loopOver({ held: true, lanes: 3 });
    loop.submit(1, embed(['cat', 'dog']));
    await vi.waitUntil(() => places.length === 1);
    for (let id = 2; id <= 5; id++) loop.submit(id, embed(['dog']));
    await new Promise(setImmediate);
    expect(places).toEqual(['alone']);
    letGo();
    await outcomeOf(1);
    await vi.waitUntil(() => places.length === 4);
    letGo(2);
    await vi.waitUntil(() => Promise.all([outcomeOf(2), outcomeOf(3)]));
    loop.submit(6, embed(['good']));
    await vi.waitUntil(() => places.length === 5);
    letGo();
    await outcomeOf(6);
    expect(places).toEqual(['alone', 'beside', 'beside', 'beside', 'beside']);
  });

  it('goes on in a lane whose batch broke', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { loop, outcomeOf, places } = loopOver({ lanes: 2 });
    loop.submit(1, embed([[4, 1]]));
    loop.submit(2, embed(['cat', 'dog']));
    expect(await outcomeOf(1)).toMatchObject({ error: { code: 'internal_error' } });
    for (let id = 3; id < 9; id++) loop.submit(id, embed(['cat', 'dog', 'good']));
    for (let id = 3; id < 9; id++) expect(rowsOf(await outcomeOf(id)).length).toBe(3);
    expect(places).toContain('beside');
    stderr.mockRestore();
  });

  it('tells what each batch was', async () => {
    const { loop, outcomeOf, sent } = loopOver();
    loop.submit(
      1,
      embed([
        [4, 5, 6],
        [4, 5, 6, 7],
      ]),
    );
    await outcomeOf(1);
    await vi.waitUntil(() => sent.some(({ type }) => type === 'batched'));
    expect(sent.find(({ type }) => type === 'batched')).toMatchObject({
      batch: { inputs: 2, tokens: 7, paddingTokens: 1, waiting: 0 },
    });
  });
});
