import { readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { bearer, startTenants, type Tenants } from '../access/tenants.ts';
import { chatBody } from '../support/gateway-process.ts';

let tenants: Tenants;

beforeAll(async () => {
  tenants = await startTenants();
});

afterAll(() => tenants.close());
afterEach(() => vi.restoreAllMocks());

/** What a process that is killed at this moment leaves behind. */
function journal(): string {
  const folder = join(tenants.dataDir, 'ledger');
  const files = readdirSync(folder).filter((name) => name.endsWith('.rows'));
  return files.map((name) => readFileSync(join(folder, name), 'latin1')).join();
}

/** Writes of the gateway to clients that have the text, and what was in the journal at each. */
function watchWrites(text: string): readonly string[] {
  const port = Number(new URL(tenants.url).port);
  const write = Socket.prototype.write;
  const before: string[] = [];
  vi.spyOn(Socket.prototype, 'write').mockImplementation(function (this: Socket, ...args: unknown[]) {
    if (this.localPort === port && String(args[0]).includes(text)) before.push(journal());
    return Reflect.apply(write, this, args);
  });
  return before;
}

async function ask(id: string, stream: boolean): Promise<string> {
  const { a, url } = tenants;
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': id, ...bearer(a.secrets.user) },
    body: chatBody(a.model, { stream }),
  });
  return await reply.text();
}

it.each([
  ['a whole reply', false, 1],
  ['a stream', true, 1],
  ['whole replies of one turn', false, 12],
  ['streams of one turn', true, 12],
])('before the end of %s is sent, it is in the journal', async (_, stream, count) => {
  const before = watchWrites('"finish_reason":"stop"');
  const ids = Array.from({ length: count }, (_, i) => `${stream ? 'stream' : 'whole'}-${count}-${i}-of-them`);
  const replies = await Promise.all(ids.map((id) => ask(id, stream)));
  expect(replies.every((text) => text.includes('"finish_reason":"stop"'))).toBe(true);
  expect(before).toHaveLength(count);
  // Whichever end was sent n-th: at least n of them were in the journal.
  for (const [i, text] of before.entries())
    expect(ids.filter((id) => text.includes(id)).length).toBeGreaterThan(i);
});

it('before the first of a stream is sent, the stream is', async () => {
  tenants.fake.setBehaviour({ itlMs: 20 });
  const before = watchWrites('"content":"');
  await ask('stream-that-goes-on', true);
  expect(before.length).toBeGreaterThan(2);
  expect(before[0]).toContain('stream-that-goes-on');
});
