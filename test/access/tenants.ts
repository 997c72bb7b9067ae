import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../config/schema.ts';
import { newApiKey } from '../../src/access/api-key.ts';
import { isBound, ROLES, type Role } from '../../src/core/caller.ts';
import type { RunningGateway } from '../../src/running-gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { ApiKeys, type NewApiKey } from '../../src/store/api-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { Organizations } from '../../src/store/organizations.ts';
import { Projects } from '../../src/store/projects.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';

/** An organization with one project, and a key of each role. */
export interface Tenant {
  readonly organizationId: string;
  readonly projectId: string;
  readonly model: string;
  readonly keyIds: Readonly<Record<Role, string>>;
  readonly secrets: Readonly<Record<Role, string>>;
}

export interface Tenants {
  readonly url: string;
  readonly dataDir: string;
  readonly database: Database;
  readonly fake: FakeUpstream;
  readonly gateway: RunningGateway;
  readonly a: Tenant;
  readonly b: Tenant;
  close(): Promise<void>;
}

/** Two tenants, each with a model of its own, in front of one fake server. */
export async function startTenants(listen: object = {}): Promise<Tenants> {
  const dataDir = mkdtempSync(join(tmpdir(), 'qianmen-access-'));
  const fake = await startFakeUpstream();
  const database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
  const [a, b] = [await makeTenant(database, 'alpha'), await makeTenant(database, 'beta')];
  const config = configSchema.parse(gatewayConfig(fake, { dataDir, listen: { port: 0, ...listen } }));
  const gateway = await startGateway(config, { logger: createLogger('silent') });
  return {
    ...{ url: gateway.url, dataDir, database, fake, gateway, a, b },
    async close() {
      await gateway.close();
      await database.close();
      await fake.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

export function gatewayConfig(fake: FakeUpstream, extra: object): object {
  const models = ['alpha', 'beta'].map((tenant) => ({
    name: modelOf(tenant),
    deployments: [
      {
        upstream: 'fake',
        model: 'fake-model',
        price: { inputUsdPerMTok: 1, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 2 },
      },
    ],
  }));
  return { upstreams: [{ name: 'fake', url: fake.url }], models, ...extra };
}

function modelOf(tenant: string): string {
  return `model-of-${tenant}`;
}

export async function makeTenant(database: Database, name: string): Promise<Tenant> {
  const { id: organizationId } = await new Organizations(database).create({ name: `${name}-organization` });
  const { id: projectId } = await new Projects(database).create({ name: `${name}-project`, organizationId });
  const model = modelOf(name);
  const keyIds: Partial<Record<Role, string>> = {};
  const secrets: Partial<Record<Role, string>> = {};
  for (const role of ROLES) {
    const scope = role === 'user' || isBound(role) ? { models: [model] } : {};
    const key = await makeKey(database, { name: `${name}-${role}`, projectId, role, ...scope });
    keyIds[role] = key.id;
    secrets[role] = key.secret;
  }
  return { organizationId, projectId, model, keyIds, secrets } as Tenant;
}

export async function makeKey(
  database: Database,
  given: Omit<NewApiKey, 'id' | 'hash'>,
): Promise<{ readonly id: string; readonly secret: string }> {
  const { id, hash, secret } = newApiKey();
  await new ApiKeys(database).create({ ...given, id, hash });
  return { id, secret };
}

export interface RawReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Sends the path as it is, which `fetch` does not. */
export function send(
  url: string,
  path: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string | readonly string[]>> | readonly string[];
    readonly body?: string | undefined;
  } = {},
): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<RawReply>();
  const outgoing = request(
    { host: hostname, port, path, method, headers: headers as Record<string, string> },
    (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (part: string) => {
        text += part;
      });
      reply.on('end', () => resolve({ status: reply.statusCode!, headers: reply.headers, body: text }));
      reply.on('error', reject);
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

export function bearer(secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` };
}

/** Asks for a chat reply with that key. */
export function chat(
  url: string,
  secret: string | undefined,
  model: string,
  extra: object = {},
): Promise<RawReply> {
  return send(url, '/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(secret === undefined ? {} : bearer(secret)) },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello there.' }], ...extra }),
  });
}
