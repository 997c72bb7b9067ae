// Mixed chat and text completions, streamed and whole, against any OpenAI-compatible URL, with every reply checked.
// Settings come from the environment: see README.md.

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import { eventsOf, streamFaults, wholeFaults } from './stream.js';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/\/+$/, '');
const MAX_TOKENS = Number(__ENV.MAX_TOKENS || 16);
const HEADERS = Object.assign(
  { 'content-type': 'application/json' },
  __ENV.API_KEY ? { authorization: `Bearer ${__ENV.API_KEY}` } : {},
);

export const options = {
  scenarios: {
    smoke: {
      executor: 'constant-vus',
      vus: Number(__ENV.VUS || 2),
      duration: __ENV.DURATION || '10s',
      gracefulStop: '60s',
    },
  },
  thresholds: {
    // A run that has failed need not go on: there is nothing to measure.
    checks: [{ threshold: 'rate==1', abortOnFail: true, delayAbortEval: '2s' }],
    http_req_failed: ['rate==0'],
    // Without this, a run in which nothing was sent would pass.
    iterations: ['count>0'],
  },
  summaryTrendStats: ['min', 'med', 'avg', 'p(95)', 'p(99)', 'max'],
};

const wholeMs = new Trend('qm_whole_ms', true);
const streamMs = new Trend('qm_stream_total_ms', true);
const streamEvents = new Counter('qm_stream_events');

/** Faults shown by each of the VUs; the checks count all of them. */
const SHOWN_FAULTS = 3;
let shown = 0;

const PROMPTS = [
  'Name a colour.',
  'Count from one to five.',
  'Say hello in French.',
  '用一个词描述春天。',
  'Finish: the quick brown fox',
];

/** One after the other, so that a short run covers all of them. */
const CASES = [
  { name: 'chat, streamed, usage', kind: 'chat', stream: true, usageAsked: true },
  { name: 'chat, whole', kind: 'chat', stream: false },
  { name: 'chat, streamed', kind: 'chat', stream: true, usageAsked: false },
  { name: 'text, streamed, usage', kind: 'text', stream: true, usageAsked: true },
  { name: 'text, whole', kind: 'text', stream: false },
];

/** The model to ask for: MODEL, or else the first that the server lists. */
export function setup() {
  if (__ENV.MODEL) return { model: __ENV.MODEL };
  const reply = http.get(`${BASE_URL}/v1/models`, { headers: HEADERS });
  if (reply.status !== 200)
    exec.test.abort(`GET ${BASE_URL}/v1/models answered ${reply.status}: ${reply.error}`);
  return { model: reply.json('data.0.id') };
}

export default function smoke({ model }) {
  const turn = exec.scenario.iterationInTest;
  const test = CASES[turn % CASES.length];
  const prompt = PROMPTS[turn % PROMPTS.length];
  const input = test.kind === 'chat' ? { messages: [{ role: 'user', content: prompt }] } : { prompt };
  const body = Object.assign({ model, max_tokens: MAX_TOKENS, temperature: 0, stream: test.stream }, input);
  if (test.usageAsked) body.stream_options = { include_usage: true };

  const path = test.kind === 'chat' ? '/v1/chat/completions' : '/v1/completions';
  const params = { headers: HEADERS, timeout: '60s', tags: { name: test.name } };
  const reply = http.post(`${BASE_URL}${path}`, JSON.stringify(body), params);
  const faults =
    reply.status !== 200
      ? [`HTTP ${reply.status} ${reply.error} ${String(reply.body).slice(0, 200)}`]
      : test.stream
        ? streamFaults(reply.body, test)
        : wholeFaults(reply.body, test);
  const expectedType = test.stream ? 'text/event-stream' : 'application/json';
  if (reply.status === 200 && !String(reply.headers['Content-Type']).startsWith(expectedType))
    faults.push(`content type ${reply.headers['Content-Type']}`);

  const right = check(faults, { [test.name]: (list) => list.length === 0 });
  if (!right && ++shown <= SHOWN_FAULTS) console.error(`${test.name}: ${faults.join('; ')}`);
  if (test.stream) {
    streamMs.add(reply.timings.duration);
    streamEvents.add(reply.body ? eventsOf(reply.body).length : 0);
  } else wholeMs.add(reply.timings.duration);
}
