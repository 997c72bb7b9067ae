import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../src/core/backend.ts';
import { AppError } from '../src/core/error.ts';
import type { Part } from '../src/core/part.ts';
import type { GenerateRequest } from '../src/core/request.ts';
import { chat, collect, partOf, textOf } from './engine/requests.ts';

export interface BackendUnderTest {
  readonly backend: Backend;
  /** The model's name at the backend. */
  readonly model: string;
  close(): Promise<void>;
}

interface Ask {
  readonly maxTokens: number;
  readonly n?: number;
  readonly stream?: boolean;
}

/** Longer than any test waits, so that only an abort ends it. */
const LONG = 1_500;

/**
 * What every backend owes to the gateway, whether it generates by itself or asks a server. `make` is called once; the
 * backend must be ready, ignore end-of-sequence when asked to, and need at least a second for a reply of 1,500 tokens.
 */
export function backendContract(name: string, make: () => Promise<BackendUnderTest>): void {
  describe(`backend contract: ${name}`, () => {
    let made: BackendUnderTest;
    let backend: Backend;

    beforeAll(async () => {
      made = await make();
      backend = made.backend;
    });
    afterAll(async () => {
      await made?.close();
    });

    const start = (ask: Ask, signal: AbortSignal = new AbortController().signal) =>
      backend.run(chatRequest(ask), { model: made.model, signal });
    const idle = () => expect.poll(() => backend.health().inFlight, { timeout: 1_000, interval: 10 }).toBe(0);

    it.each([true, false])(
      'tells start, deltas, one finish and usage, in this order (stream: %s)',
      async (stream) => {
        const parts = await collect(await start({ maxTokens: 6, stream }));
        const kinds = parts.map((part) => part.type);
        expect(kinds[0]).toBe('start');
        expect(kinds.at(-1)).toBe('usage');
        expect(kinds.at(-2)).toBe('finish');
        expect(new Set(kinds.slice(1, -2))).toEqual(new Set(['text-delta']));
        expect(textOf(parts, 0)).not.toBe('');
      },
    );

    it('keeps to maxTokens and says that the length ended it', async () => {
      const parts = await collect(await start({ maxTokens: 4 }));
      expect(finishes(parts)).toEqual([[0, 'length']]);
      expect(usage(parts)).toMatchObject({ completionTokens: 4 });
    });

    it('adds usage up over the choices', async () => {
      const parts = await collect(await start({ maxTokens: 4, n: 2 }));
      const { promptTokens, completionTokens, cachedPromptTokens } = usage(parts);
      expect(promptTokens).toBeGreaterThan(0);
      expect(completionTokens).toBe(8);
      expect(cachedPromptTokens).toBeLessThanOrEqual(promptTokens);
      const delivered = parts.reduce((sum, part) => sum + ('tokens' in part ? part.tokens : 0), 0);
      expect(delivered).toBeLessThanOrEqual(completionTokens);
    });

    it('gives each of two choices its own index', async () => {
      const parts = await collect(await start({ maxTokens: 4, n: 2 }));
      expect(textOf(parts, 0)).not.toBe('');
      expect(textOf(parts, 1)).not.toBe('');
      expect(finishes(parts).sort()).toEqual([
        [0, 'length'],
        [1, 'length'],
      ]);
    });

    it('refuses a request that is aborted already', async () => {
      const error = await start({ maxTokens: 4 }, AbortSignal.abort()).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(AppError);
      expect((error as AppError).code).toBe('client_closed');
      await idle();
    });

    it('stops within a second when aborted before the first part', async () => {
      const leaving = new AbortController();
      const started = start({ maxTokens: LONG }, leaving.signal).then(collect);
      leaving.abort();
      await expectCancelled(started);
      await idle();
    });

    it('stops within a second when aborted in the middle', async () => {
      const leaving = new AbortController();
      const parts = await start({ maxTokens: LONG }, leaving.signal);
      const seen: Part[] = [];
      for await (const part of parts) {
        seen.push(part);
        if (part.type === 'text-delta') break;
      }
      expect(seen.at(-1)?.type).toBe('text-delta');
      await idle();

      const again = await start({ maxTokens: LONG }, leaving.signal);
      const rest = collect(again);
      setImmediate(() => leaving.abort());
      await expectCancelled(rest);
      await idle();
    });

    it('gives the reason of an abort back when that is an AppError', async () => {
      const leaving = new AbortController();
      const started = start({ maxTokens: LONG }, leaving.signal).then(collect);
      leaving.abort(new AppError('upstream_timeout'));
      await expectCancelled(started, 'upstream_timeout');
      await idle();
    });

    it('serves several at once and is idle afterwards', async () => {
      const replies = await Promise.all(
        Array.from({ length: 4 }, async () => collect(await start({ maxTokens: 3 }))),
      );
      for (const parts of replies) expect(finishes(parts)).toEqual([[0, 'length']]);
      await idle();
    });

    it('refuses with an AppError once it is closed, and can be closed twice', async () => {
      await backend.close();
      await backend.close();
      await expect(start({ maxTokens: 3 })).rejects.toBeInstanceOf(AppError);
      expect(backend.health().inFlight).toBe(0);
    });
  });
}

/** The failure may come from `run`, from the iterator, or as the last part. */
async function expectCancelled(reply: Promise<Part[]>, code = 'client_closed'): Promise<void> {
  const beganMs = performance.now();
  const error = await reply.then(
    (parts) => {
      const last = parts.at(-1);
      return last?.type === 'error' ? last.error : `ended with ${last?.type}`;
    },
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect((error as AppError).code).toBe(code);
  expect(performance.now() - beganMs).toBeLessThan(1_000);
}

function chatRequest({ maxTokens, n = 1, stream = true }: Ask): GenerateRequest {
  const text = 'Write one long sentence about the sea.';
  const body = {
    model: 'public-name',
    messages: [{ role: 'user', content: text }],
    max_tokens: maxTokens,
    n,
    stream,
    temperature: 1,
    seed: 7,
    ignore_eos: true,
  };
  return chat(text, {
    id: 'req_contract',
    model: 'public-name',
    n,
    sampling: { temperature: 1, seed: 7 },
    stop: { maxTokens, ignoreEos: true },
    stream,
    wire: { dialect: 'openai', path: '/chat/completions', body: Buffer.from(JSON.stringify(body)) },
  });
}

function finishes(parts: readonly Part[]): [number, string][] {
  return parts.flatMap((part): [number, string][] =>
    part.type === 'finish' ? [[part.index, part.reason]] : [],
  );
}

function usage(parts: readonly Part[]) {
  return partOf(parts, 'usage').usage;
}
