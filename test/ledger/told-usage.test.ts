import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { makeTenant } from '../access/tenants.ts';
import {
  chatBody,
  eventually,
  type GatewayProcess,
  startGatewayProcess,
} from '../support/gateway-process.ts';

const usage = (prompt: number | string, completion: number | string) =>
  `{"prompt_tokens":${prompt},"completion_tokens":${completion}}`;
const chat = (...said: readonly string[]) =>
  `{"choices":[{"index":0,"message":{"content":"some words"},"finish_reason":"stop"}],${said.map((one) => `"usage":${one}`).join()}}`;
const piece = (text: string, said: string, reason = 'null') =>
  `data: {"choices":[{"index":0,"delta":{"content":"${text}"},"finish_reason":${reason}}],"usage":${said}}\n\n`;
/** Each after the text. */
const stream = (...said: readonly string[]) =>
  `${piece('a', 'null', '"stop"')}${said.map((one) => `data: {"choices":[],"usage":${one}}\n\n`).join('')}data: [DONE]\n\n`;
/** With each piece of the text. */
const continuous = (first: string, second: string) =>
  `${piece('a', first)}${piece('b', second, '"stop"')}data: [DONE]\n\n`;
/** In the choice that finishes, or in a field of its own. */
const inside = (said: string) =>
  `"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop","usage":${said}}]`;
const beside = (said: string) =>
  `"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":${said}}`;
const streamed = (members: string) => `data: {${members}}\n\ndata: [DONE]\n\n`;
const whole = (members: string) => `{${members.replace('"delta"', '"message"')}}`;
const embeddings = (said: string) => `{"data":[{"index":0,"embedding":[0.5]}],"usage":${said}}`;
const ranking = (said: string) => `{"results":[{"index":0,"relevance_score":0.5}],"usage":${said}}`;

const CHAT = '/v1/chat/completions';
const EMBEDDINGS = '/v1/embeddings';
const RERANK = '/v1/rerank';
const ASKS: Readonly<Record<string, (model: string, isStream: boolean) => string>> = {
  [CHAT]: (model, isStream) =>
    chatBody(model, isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
  [EMBEDDINGS]: (model) => JSON.stringify({ model, input: 'some words' }),
  [RERANK]: (model) => JSON.stringify({ model, query: 'some', documents: ['words'] }),
};

/** What it is, the route, and what the server replies. */
const SAID: readonly (readonly [name: string, route: string, reply: string])[] = [
  ['whole numbers in other words', CHAT, chat(usage('12.0', '3e0'))],
  ['a fraction', CHAT, chat(usage(12.5, 3))],
  ['more than a number can be', CHAT, chat(usage(12, '1e999999'))],
  ['what JSON has no number for', CHAT, chat(usage('NaN', 3))],
  ['nothing where something came', CHAT, chat(usage(0, 0))],
  ['twice, at last what cannot be', CHAT, chat(usage(12, 3), usage(-5, 3))],
  ['twice, at last what can be', CHAT, chat(usage(-5, 3), usage(12, 3))],
  ['a stream of nothing', CHAT, stream(usage(0, 0))],
  ['a stream of what cannot be, and then can', CHAT, stream(usage(-1, -1), usage(10, 1))],
  ['a stream of what can be, and then cannot', CHAT, stream(usage(10, 1), usage(-1, -1), '{}')],
  ['a stream of more and more', CHAT, stream(usage(10, 1), usage(10, 90_000_000))],
  ['with each piece', CHAT, continuous(usage(10, 1), usage(10, 2))],
  ['with each piece what cannot be', CHAT, continuous(usage(-10, 1), usage(-10, 2))],
  ['with each piece that nothing came', CHAT, continuous(usage(10, 0), usage(10, 0))],
  ['in a choice what can be', CHAT, streamed(inside(usage(10, 1)))],
  ['in a choice what cannot be', CHAT, streamed(inside(usage(-10, 1)))],
  ['in a choice what cannot be read', CHAT, streamed(inside('{"prompt_tokens":"10"}'))],
  ['beside the choices what cannot be', CHAT, streamed(beside(usage(-10, 1)))],
  ['in a choice of a whole reply what cannot be', CHAT, whole(inside(usage(-10, 1)))],
  ['beside the choices of a whole reply what cannot be', CHAT, whole(beside(usage(-10, 1)))],
  [
    'without choices',
    CHAT,
    `${piece('a', 'null', '"stop"')}data: {"usage":${usage(10, 1)}}\n\ndata: [DONE]\n\n`,
  ],
  [
    'without choices what cannot be',
    CHAT,
    `${piece('a', 'null', '"stop"')}data: {"usage":${usage(-10, 1)}}\n\ndata: [DONE]\n\n`,
  ],
  ['no tokens of a text', EMBEDDINGS, embeddings('{"prompt_tokens":0,"total_tokens":0}')],
  ['too many tokens of a text', EMBEDDINGS, embeddings('{"prompt_tokens":1e12,"total_tokens":1e12}')],
  ['words for the tokens of a text', EMBEDDINGS, embeddings('{"prompt_tokens":"4"}')],
  ['less than nothing of documents', RERANK, ranking('{"total_tokens":-1}')],
];

/** Models have no spaces in their names. */
const modelOf = (name: string) => name.replaceAll(/\W+/g, '-');

let dataDir: string;
let database: Database;
let secret: string;
let server: Server;
let gateway: GatewayProcess;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const bytes of request) body += bytes;
    const [, , reply] = SAID.find(([name]) => body.includes(`"${modelOf(name)}"`)) ?? ['', '', '{"data":[]}'];
    const type = reply.startsWith('data:') ? 'text/event-stream' : 'application/json';
    response.setHeader('content-type', type).end(reply);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  dataDir = mkdtempSync(join(tmpdir(), 'qianmen-told-'));
  database = await openDatabase({ kind: 'sqlite', path: join(dataDir, 'qianmen.db') });
  secret = (await makeTenant(database, 'alpha')).secrets.admin;
  gateway = await startGatewayProcess({
    dataDir,
    upstreams: [{ name: 'odd', url: `http://127.0.0.1:${port}/v1` }],
    models: SAID.map(([name]) => ({
      name: modelOf(name),
      deployments: [{ upstream: 'odd', model: modelOf(name) }],
    })),
  });
});
afterAll(async () => {
  await gateway.kill();
  await database.close();
  server.close();
  rmSync(dataDir, { recursive: true });
});

function lastUsage(text: string, isStream: boolean) {
  const said = isStream
    ? text.split('\n\n').filter((event) => event.startsWith('data: {'))
    : [`data: ${text}`];
  return said
    .map((event) => JSON.parse(event.slice('data: '.length)))
    .map(({ usage, choices, x_groq }) => usage ?? choices?.[0]?.usage ?? x_groq?.usage)
    .findLast((one) => one);
}

it.each(SAID)(
  'the ledger has what the client was told where a server says %s',
  async (name, route, reply) => {
    const model = modelOf(name);
    const isStream = reply.startsWith('data:');
    const response = await fetch(gateway.url + route, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: ASKS[route]!(model, isStream),
    });
    const told = lastUsage(await response.text(), isStream);
    const rows = () =>
      database.kysely.selectFrom('every_attempt').selectAll().where('model', '=', model).execute();
    await eventually('the ledger has it', async () => (await rows()).length > 0);
    const [row] = await rows();
    expect(row?.prompt_tokens).toBeGreaterThan(0);
    expect({ prompt: told.prompt_tokens, completion: told.completion_tokens ?? 0 }).toEqual({
      prompt: row?.prompt_tokens,
      completion: row?.completion_tokens,
    });
  },
);
