/**
 * Records raw replies of a running OpenAI-compatible server:
 *
 *   node test/recorded/record.ts URL OUT_DIR [API_KEY] [MODEL]
 *
 * URL is the API root (http://127.0.0.1:8000/v1). Every case becomes NAME.request.json (path and body) and
 * NAME.STATUS.sse or .body with the body exactly as it came (not .json, or formatters would touch it).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [url, outDir, apiKey, model = 'smollm2'] = process.argv.slice(2);
if (url === undefined || outDir === undefined)
  throw new Error('usage: record.ts URL OUT_DIR [API_KEY] [MODEL]');
mkdirSync(outDir, { recursive: true });

const messages = [{ role: 'user', content: 'What is the capital of France?' }];
const long = 'The quick brown fox jumps over the lazy dog. '.repeat(40);
const usage = { stream_options: { include_usage: true } };
const chat = { model, messages, temperature: 0, max_tokens: 16 };
const completion = { model, prompt: 'Once upon a time', temperature: 0, max_tokens: 12 };

const cases: Readonly<Record<string, readonly [path: string, body: unknown]>> = {
  'chat-stream': ['/chat/completions', { ...chat, stream: true }],
  'chat-stream-usage': ['/chat/completions', { ...chat, stream: true, ...usage }],
  'chat-stream-stop': ['/chat/completions', { ...chat, stream: true, ...usage, stop: ['France is'] }],
  'chat-stream-n2': ['/chat/completions', { ...chat, stream: true, ...usage, n: 2, temperature: 1, seed: 7 }],
  'chat-stream-logprobs': [
    '/chat/completions',
    { ...chat, max_tokens: 4, stream: true, ...usage, logprobs: true, top_logprobs: 2 },
  ],
  'chat-stream-unicode': [
    '/chat/completions',
    {
      ...chat,
      stream: true,
      ...usage,
      max_tokens: 24,
      messages: [{ role: 'user', content: 'Repeat exactly: 你好,世界 🎉🎉 naïve café' }],
    },
  ],
  'chat-stream-cached-usage': [
    '/chat/completions',
    { ...chat, messages: [{ role: 'user', content: long }], max_tokens: 4, stream: true, ...usage },
  ],
  'chat-stream-continuous-usage': [
    '/chat/completions',
    {
      ...chat,
      max_tokens: 4,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    },
  ],
  'chat-whole': ['/chat/completions', chat],
  'chat-whole-n2-logprobs': [
    '/chat/completions',
    { ...chat, temperature: 1, seed: 7, max_tokens: 3, n: 2, logprobs: true, top_logprobs: 2 },
  ],
  'completion-stream': ['/completions', { ...completion, stream: true }],
  'completion-stream-usage': ['/completions', { ...completion, stream: true, ...usage }],
  'completion-stream-two-prompts': [
    '/completions',
    { ...completion, prompt: ['One, two,', 'Red, green,'], max_tokens: 4, stream: true, ...usage },
  ],
  'completion-stream-logprobs': [
    '/completions',
    { ...completion, max_tokens: 4, logprobs: 2, stream: true, ...usage },
  ],
  'completion-whole': ['/completions', completion],
  'completion-whole-logprobs': ['/completions', { ...completion, max_tokens: 3, logprobs: 2 }],
  'error-unknown-model': ['/chat/completions', { ...chat, model: 'no-such-model', stream: true }],
  'error-bad-value': ['/chat/completions', { ...chat, temperature: -1 }],
  'error-missing-messages': ['/chat/completions', { model }],
  'error-too-long': [
    '/chat/completions',
    { ...chat, messages: [{ role: 'user', content: long.repeat(20) }] },
  ],
  'error-bad-max-tokens': ['/completions', { ...completion, max_tokens: 1_000_000, stream: true }],
};

async function record(name: string, path: string, body: unknown, key: string | undefined): Promise<void> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-request-id': `rec-${name}`,
  };
  if (key !== undefined) headers.authorization = `Bearer ${key}`;
  const reply = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const bytes = Buffer.from(await reply.arrayBuffer());
  const ending = reply.headers.get('content-type')?.startsWith('text/event-stream') ? 'sse' : 'body';
  writeFileSync(join(outDir!, `${name}.request.json`), `${JSON.stringify({ path, body }, null, 2)}\n`);
  writeFileSync(join(outDir!, `${name}.${reply.status}.${ending}`), bytes);
  console.log(name, reply.status, reply.headers.get('content-type'), bytes.length);
}

for (const [name, [path, body]] of Object.entries(cases)) {
  await record(name, path, body, apiKey);
  // The second time the prompt is cached, so that its usage tells how much of it.
  if (name === 'chat-stream-cached-usage') await record(name, path, body, apiKey);
}
if (apiKey !== undefined) await record('error-wrong-key', '/chat/completions', chat, 'wrong');
