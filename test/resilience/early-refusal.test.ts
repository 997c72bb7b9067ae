import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { serveUpstreams } from './fleet.ts';

it('a refusal that comes before all of a long request has gone out reaches its client, and says nothing against the server', async () => {
  const server = fork(fileURLToPath(new URL('../fakes/early-refusal.ts', import.meta.url)), {
    execArgv: [],
  });
  onTestFinished(() => void server.kill());
  const [port] = await once(server, 'message');
  const fleet = await serveUpstreams([`http://127.0.0.1:${port}/v1`], {
    listen: { maxBodyBytes: 20_000_000 },
  });
  const body = { messages: [{ role: 'user', content: 'x'.repeat(9_000_000) }] };
  for (let i = 0; i < 12; i += 1) {
    const { status, text } = await fleet.ask({ stream: i % 2 === 0, body });
    expect([status, JSON.parse(text).error.message]).toEqual([413, 'at most 1 MB']);
  }
  expect(fleet.backend('a').health).toMatchObject({ state: 'ready', breaker: 'closed' });
  await fleet.idle();
});
