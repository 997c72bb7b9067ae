import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import type { ClassifyRequest } from '../../src/core/encoder.ts';
import { createLocalEncoder } from '../../src/encoder/local-encoder.ts';
import type { RunningGateway } from '../../src/running-gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { newDataDir } from '../support/data-dir.ts';
import { eventually } from '../support/gateway-process.ts';
import { post } from './server.ts';
import { writeTinyClassifier } from './tiny-encoder.ts';

/** What the tiny models answer can be told by adding up the weights of the words. */
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

let running: RunningGateway;
beforeAll(async () => {
  const rank = writeTinyClassifier({ weights: { good: [2], bad: [-2], cat: [1] }, secondSegmentOnly: true });
  const mood = writeTinyClassifier({
    weights: { good: [3, 0, 0], bad: [0, 3, 0], fine: [1, 0, 2] },
    config: { id2label: { 0: 'positive', 1: 'negative', 2: 'neutral' } },
  });
  const tags = writeTinyClassifier({
    weights: { cat: [4, 0], dog: [0, 4] },
    config: { problem_type: 'multi_label_classification', id2label: { 0: 'cats', 1: 'dogs' } },
  });
  const config = configSchema.parse({
    listen: { port: 0 },
    dataDir: newDataDir(),
    engines: [
      { name: 'rank', path: rank, threads: 1 },
      { name: 'mood', path: mood, threads: 1 },
      { name: 'tags', path: tags, task: 'classify', threads: 1 },
    ],
    log: { level: 'silent' },
  });
  running = await startGateway(config);
  await running.enginesSettled;
});
afterAll(() => running?.close());

describe('reranking', () => {
  const rerank = (fields: object, path = '/v1/rerank') =>
    post(running.url, path, { model: 'rank', ...fields });

  it('scores each document by itself and begins with the best', async () => {
    const { status, body } = await rerank({
      query: 'good good good',
      documents: ['bad dog', 'cat', { text: 'good cat' }, 'b'],
    });
    expect(status).toBe(200);
    expect(body.results.map((result: { index: number }) => result.index)).toEqual([2, 1, 3, 0]);
    const scores = body.results.map((result: { relevance_score: number }) => result.relevance_score);
    for (const [i, logit] of [3, 1, 0, -2].entries()) expect(scores[i]).toBeCloseTo(sigmoid(logit), 6);
    expect(body.results[0]).not.toHaveProperty('document');
    // [CLS] + 3 + [SEP] and [SEP] around each document of 2, 1, 2 and 1 words.
    expect(body.usage).toEqual({ prompt_tokens: 4 * 6 + 6, total_tokens: 30 });
  });

  it('gives back the best n with their documents', async () => {
    const fields = { query: 'a', documents: ['bad', 'good', 'fine'], top_n: 1, return_documents: true };
    for (const path of ['/v1/rerank', '/v2/rerank']) {
      const { body } = await rerank(fields, path);
      expect(body.results).toEqual([
        { index: 1, relevance_score: expect.any(Number), document: { text: 'good' } },
      ]);
    }
  });

  it('cuts documents and queries that are too long', async () => {
    const long = 'b '.repeat(100);
    const { status, body } = await rerank({ query: long, documents: [`good ${long}`, `${long} good`] });
    expect(status).toBe(200);
    expect(body.results[0]).toMatchObject({ index: 0, relevance_score: expect.closeTo(sigmoid(2), 6) });
    expect(body.results[1].relevance_score).toBeCloseTo(sigmoid(0), 6);
    expect(body.usage.prompt_tokens).toBe(2 * 16);
  });

  it('cuts documents to the tokens that are asked for', async () => {
    const { body } = await rerank({ query: 'a', documents: ['b b b good', 'good'], max_tokens_per_doc: 3 });
    expect(body.results[0]).toMatchObject({ index: 1, relevance_score: expect.closeTo(sigmoid(2), 6) });
    expect(body.results[1].relevance_score).toBeCloseTo(sigmoid(0), 6);
    expect(body.usage.prompt_tokens).toBe(7 + 5);
  });

  it('scores an empty document, and 2,048 documents at once', async () => {
    const empty = await rerank({ query: 'a', documents: [''] });
    expect(empty.body.results).toEqual([{ index: 0, relevance_score: expect.closeTo(0.5, 6) }]);
    const documents = Array.from({ length: 2_048 }, (_, i) => (i === 1_234 ? 'good' : 'b'));
    const { status, body } = await rerank({ query: 'a', documents, return_documents: true });
    expect(status).toBe(200);
    expect(body.results.length).toBe(2_048);
    expect(body.results[0]).toMatchObject({ index: 1_234, document: { text: 'good' } });
    const tooMany = await rerank({ query: 'a', documents: [...documents, 'b'] });
    expect([tooMany.status, tooMany.body.error.param]).toEqual([400, 'documents']);
    const none = await rerank({ query: 'a', documents: [] });
    expect([none.status, none.body.error.param]).toEqual([400, 'documents']);
  });

  it('refuses a model that is made for something else, by its name', async () => {
    for (const [path, fields] of [
      ['/v1/rerank', { model: 'mood', query: 'a', documents: ['a'] }],
      ['/v1/embeddings', { model: 'rank', input: 'a' }],
      ['/v1/classify', { model: 'rank', input: 'a' }],
    ] as const) {
      const { status, body } = await post(running.url, path, fields);
      expect(status).toBe(400);
      expect(body.error).toMatchObject({ param: 'model', code: 'invalid_value' });
    }
  });
});

describe('classification', () => {
  const classify = (fields: object) => post(running.url, '/v1/classify', fields);

  it('gives one distribution per input', async () => {
    const { status, body } = await classify({ model: 'mood', input: ['good', 'bad bad', 'fine'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: 'list',
      model: 'mood',
      usage: { prompt_tokens: 10, total_tokens: 10 },
    });
    expect(body.data.map((entry: { label: string }) => entry.label)).toEqual([
      'positive',
      'negative',
      'neutral',
    ]);
    for (const [i, entry] of body.data.entries()) {
      expect(entry).toMatchObject({ index: i, num_classes: 3 });
      expect(entry.probs.reduce((sum: number, p: number) => sum + p, 0)).toBeCloseTo(1, 6);
    }
    expect(body.data[0].probs[0]).toBeCloseTo(Math.exp(3) / (Math.exp(3) + 2), 5);
  });

  it('judges each class by itself where several may apply', async () => {
    const { body } = await classify({ model: 'tags', input: 'cat dog' });
    for (const p of body.data[0].probs) expect(p).toBeCloseTo(sigmoid(4), 6);
  });

  it('takes token ids as they are, 2,048 inputs at once, and cuts what is too long where it may', async () => {
    const [text, ids] = await Promise.all([
      classify({ model: 'mood', input: 'good' }),
      classify({ model: 'mood', input: [[2, 5, 3]] }),
    ]);
    expect(ids.status).toBe(200);
    expect(ids.body.usage.prompt_tokens).toBe(text.body.usage.prompt_tokens);
    const many = await classify({ model: 'mood', input: Array.from({ length: 2_048 }, () => 'fine') });
    expect(many.body.data.length).toBe(2_048);
    const cut = await classify({ model: 'mood', input: 'good '.repeat(100), truncate: true });
    expect([cut.status, cut.body.data[0].label, cut.body.usage.prompt_tokens]).toEqual([200, 'positive', 16]);
  });

  it('refuses a text that is too long', async () => {
    const { status, body } = await classify({ model: 'mood', input: 'a '.repeat(20) });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: 'input', code: 'context_length_exceeded' });
  });
});

describe('a model whose rows show in each other', () => {
  it('runs every text alone, so that nobody gets another result for what somebody else sent', async () => {
    const batches: number[] = [];
    const encoder = createLocalEncoder({
      name: 'q',
      directory: writeTinyClassifier({
        weights: { good: [0.1, 0], cat: [100, 0], a: [0.2, 0.1] },
        quantised: true,
      }),
      threads: 1,
      emit: (event) => event.type === 'encoder-batched' && batches.push(event.inputs),
    });
    try {
      await encoder.ready;
      expect(encoder.info()).toMatchObject({ rowsIndependent: false });
      const { signal } = new AbortController();
      const [alone] = (await encoder.classify(classifyRequest(['good']), { signal })).classes;
      const [beside] = (await encoder.classify(classifyRequest(['good', 'cat']), { signal })).classes;
      expect(beside).toEqual(alone);
      await eventually('all batches were told', () => batches.length === 3);
      expect(batches).toEqual([1, 1, 1]);
    } finally {
      await encoder.close();
    }
  });
});

function classifyRequest(inputs: readonly string[]): ClassifyRequest {
  const wire = { dialect: 'openai', path: '/classify', body: Buffer.alloc(0) } as const;
  return { id: 'r', endpoint: 'classify', model: 'm', inputs, truncateTokens: undefined, wire };
}

describe('a remote server behind the same routes', () => {
  it('gets the bytes with its own model name, and its reply comes back untouched', async () => {
    const seen: { path: string | undefined; body: Record<string, unknown> }[] = [];
    const reply = '{"object":"list","data":[],"model":"far","usage":{"prompt_tokens":5,"total_tokens":5}}';
    const server = createServer(async (request, response) => {
      if (request.method === 'GET') return void response.end('{"data":[]}');
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      seen.push({ path: request.url, body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.writeHead(200, { 'content-type': 'application/json' }).end(reply);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const relaying = await startGateway(
      configSchema.parse({
        listen: { port: 0 },
        dataDir: newDataDir(),
        upstreams: [{ name: 'u', url }],
        models: [{ name: 'near', deployments: [{ upstream: 'u', model: 'far' }] }],
        log: { level: 'silent' },
      }),
    );
    try {
      for (const [path, fields] of [
        ['/v1/embeddings', { input: ['a'], extra: 1 }],
        ['/v1/rerank', { query: 'q', documents: ['a'] }],
      ] as const) {
        const answer = await fetch(`${relaying.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'near', ...fields }),
        });
        expect(await answer.text()).toBe(reply);
        expect(seen.at(-1)).toEqual({ path, body: { model: 'far', ...fields } });
      }
      const { status } = await post(relaying.url, '/v1/classify', { model: 'near', input: 'a' });
      expect(status).toBe(400);
      const metrics = await (await fetch(`${relaying.url}/metrics`)).text();
      expect(metrics).toContain('qianmen_tokens_total{model="near",kind="prompt"} 10');
    } finally {
      await relaying.close();
      server.close();
      server.closeAllConnections();
    }
  });
});

describe('an encoder process', () => {
  it('that is killed fails what it was doing with a retryable error, and comes back', async () => {
    const states: string[] = [];
    const encoder = createLocalEncoder({
      name: 'mood',
      directory: writeTinyClassifier({ weights: { good: [1, 0] } }),
      threads: 1,
      times: { firstRestartMs: 10 },
      emit: (event) => event.type === 'engine-state-changed' && states.push(event.state),
    });
    try {
      await encoder.ready;
      const request = classifyRequest(Array.from({ length: 2_048 }, () => 'good good good good good good'));
      const { signal } = new AbortController();
      const running = encoder.classify(request, { signal });
      process.kill(encoder.info()!.pid, 'SIGKILL');
      await expect(running).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
      expect(encoder.health()).toMatchObject({ state: 'down', inFlight: 0 });
      await eventually('it is ready again', () => encoder.health().state === 'ready');
      const { classes } = await encoder.classify({ ...request, inputs: ['good'] }, { signal });
      expect(classes).toHaveLength(1);
      expect(states).toEqual(['starting', 'ready', 'down', 'starting', 'ready']);
    } finally {
      await encoder.close();
    }
  });

  it('whose files are no good says which, and leaves the rest of the gateway alone', async () => {
    const directory = writeTinyClassifier({ weights: { good: [1, 2] } });
    const broken = await startGateway(
      configSchema.parse({
        listen: { port: 0 },
        dataDir: newDataDir(),
        engines: [{ name: 'broken', path: directory, task: 'rerank', threads: 1 }],
        log: { level: 'silent' },
      }),
    );
    try {
      await broken.enginesSettled;
      expect(broken.readiness().backends.broken).toMatchObject({
        state: 'down',
        detail: expect.stringContaining('it gives 2 scores per document; a reranker gives 1'),
      });
      const { status, body } = await post(broken.url, '/v1/rerank', {
        model: 'broken',
        query: 'a',
        documents: ['a'],
      });
      expect([status, body.error.code]).toEqual([503, 'model_unavailable']);
    } finally {
      await broken.close();
    }
  });
});
