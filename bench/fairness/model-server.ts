/**
 * A modelled server as a real one, OpenAI-compatible: `node bench/fairness/model-server.ts NAME` with the name of a scenario. Prints its
 * URL as a line of JSON.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SCENARIOS } from './scenarios.ts';

const scenario = SCENARIOS.find(({ name }) => name === process.argv[2]);
if (scenario === undefined) throw new Error(`no scenario ${process.argv[2]}`);
const model = scenario.server({ sleep }, Math.random);
const { promptTokens, outputTokens } = scenario;
const usage = {
  prompt_tokens: promptTokens,
  completion_tokens: outputTokens,
  total_tokens: promptTokens + outputTokens,
};
const head = { id: 'c', created: 1, model: 'served' };

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'served', object: 'model' }] }));
    return;
  }
  let body = '';
  for await (const piece of request) body += piece;
  const { stream = false, stream_options: options } = JSON.parse(body);
  let written = 0;
  const event = (data: object) => response.write(`data: ${JSON.stringify({ ...head, ...data })}\n\n`);
  model.run(promptTokens, outputTokens, () => {
    written += 1;
    if (stream) {
      if (written === 1) response.writeHead(200, { 'content-type': 'text/event-stream' });
      const ends = written === outputTokens ? 'stop' : null;
      event({
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'word ' }, finish_reason: ends }],
      });
    }
    if (written < outputTokens) return;
    if (stream) {
      if (options?.include_usage) event({ object: 'chat.completion.chunk', choices: [], usage });
      response.end('data: [DONE]\n\n');
      return;
    }
    const message = { role: 'assistant', content: 'word '.repeat(outputTokens) };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        ...head,
        object: 'chat.completion',
        choices: [{ index: 0, message, finish_reason: 'stop' }],
        usage,
      }),
    );
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/v1` }));
});
