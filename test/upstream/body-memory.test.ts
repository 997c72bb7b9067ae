import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { bodyMemory, releaseBody } from '../../src/core/body-memory.ts';
import { ask, Collector, failureOf, rawUpstream, reach } from './harness.ts';

const JSON_REPLY =
  '{"choices":[{"index":0,"message":{"role":"assistant","content":"It."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}';
const REPLY = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${JSON_REPLY.length}\r\n\r\n${JSON_REPLY}`;

/** In memory of which nobody but an upstream needs anything once the request is released. */
function longRequest() {
  const text = Buffer.from(JSON.stringify({ model: 'm', prompt: 'x'.repeat(100_000) }));
  const body = bodyMemory(text.length);
  text.copy(body);
  const asked = ask({ stream: false });
  return { body, request: { ...asked, wire: { ...asked.wire, body } } };
}

async function waiting() {
  const got: Socket[] = [];
  const url = await rawUpstream((socket) => got.push(socket));
  return { got, ...reach(url) };
}

it('a body stays until the upstream has answered', async () => {
  const { got, relay } = await waiting();
  const { body, request } = longRequest();
  const begun = relay(request);
  releaseBody(body);
  await expect.poll(() => got.length).toBe(1);
  expect(body.length).toBeGreaterThan(100_000);
  got[0]!.write(REPLY);
  await (await begun).pump(new Collector());
  expect(body.length).toBe(0);
});

it('a body stays until a request that nobody waits for has ended', async () => {
  const { got, relay } = await waiting();
  const { body, request } = longRequest();
  const left = new AbortController();
  const begun = relay(request, left.signal);
  releaseBody(body);
  await expect.poll(() => got.length).toBe(1);
  expect(body.length).toBeGreaterThan(100_000);
  left.abort();
  await failureOf(begun);
  expect(body.length).toBe(0);
});
