import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../src/store/database.ts';
import { makeTenant } from './access/tenants.ts';
import { startFakeUpstream } from './fakes/openai-upstream.ts';
import { chatBody, startGatewayProcess } from './support/gateway-process.ts';

/** What some gateways need and most do not: each would take memory of all, if it were loaded at the start. */
const SELDOM_NEEDED = [
  ...['@huggingface/jinja', '@huggingface/tokenizers', '@mlc-ai/web-xgrammar', 'onnxruntime-node'],
  ...['@redis/client', 'pg', 'undici', 'yauzl'],
];

/** Writes down all that the process loads. */
const LISTING = `
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.LOADED_FILE, url + '\\n');
    return next(url, context);
  },
});`;

it('a gateway with keys in front of servers loads nothing that only others need, and at rest its ledger has no thread', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qianmen-resting-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const fake = await startFakeUpstream();
  onTestFinished(() => fake.close());
  const database = await openDatabase({ kind: 'sqlite', path: join(dir, 'qianmen.db') });
  const tenant = await makeTenant(database, 'alpha');
  await database.close();
  const [hook, list] = [join(dir, 'listing.mjs'), join(dir, 'loaded.txt')];
  writeFileSync(hook, LISTING);
  const config = {
    dataDir: dir,
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: tenant.model, deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
  };
  const env = { NODE_OPTIONS: `--import ${pathToFileURL(hook)}`, LOADED_FILE: list };
  const gateway = await startGatewayProcess(config, { env });
  onTestFinished(() => gateway.kill());
  if (process.platform === 'linux')
    expect(threads(gateway.child.pid!).filter((name) => name.startsWith('ledger-'))).toEqual([]);

  const reply = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tenant.secrets.user}`, 'content-type': 'application/json' },
    body: chatBody(tenant.model),
  });
  expect([reply.status, (await reply.json()) as object]).toMatchObject([200, { object: 'chat.completion' }]);
  const loaded = readFileSync(list, 'utf8').split('\n');
  expect(loaded.some((url) => url.includes('/node_modules/kysely/'))).toBe(true);
  const needless = SELDOM_NEEDED.filter((name) =>
    loaded.some((url) => url.includes(`/node_modules/${name}/`)),
  );
  expect(needless).toEqual([]);
});

function threads(pid: number): readonly string[] {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).map((id) => readFileSync(join(folder, id, 'comm'), 'utf8'));
}
