// Time to first token and time between tokens of streamed chats. Needs the k6 of sse/, which sees events as they arrive.
// Settings come from the environment: see README.md.
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import sse from 'k6/x/sse';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/\/+$/, '');
const MAX_TOKENS = Number(__ENV.MAX_TOKENS || 32);
/** This share of the clients goes away after a few events, as people do. */
const LEAVE_SHARE = Number(__ENV.LEAVE_SHARE || 0);
const LEAVE_AFTER_EVENTS = 4;
const HEADERS = __ENV.API_KEY ? { authorization: `Bearer ${__ENV.API_KEY}` } : {};

export const options = {
  scenarios: {
    latency: {
      executor: 'constant-vus',
      vus: Number(__ENV.VUS || 2),
      duration: __ENV.DURATION || '10s',
      gracefulStop: '60s',
    },
  },
  thresholds: { checks: ['rate==1'], iterations: ['count>0'] },
  summaryTrendStats: ['min', 'med', 'avg', 'p(95)', 'p(99)', 'max'],
};

/** From just before the request is sent to the first event that carries text: the role chunk does not count. */
const ttftMs = new Trend('qm_ttft_ms', true);
/** Between two events that carry text. Tokens that a server sends in one event count as one. */
const itlMs = new Trend('qm_itl_ms', true);
const totalMs = new Trend('qm_total_ms', true);
const textEvents = new Counter('qm_text_events');
const left = new Counter('qm_left_early');

export default function latency() {
  const leaves = Math.random() < LEAVE_SHARE;
  const body = JSON.stringify({
    model: __ENV.MODEL,
    messages: [{ role: 'user', content: `Tell a short story about the number ${__VU * 1000 + __ITER}.` }],
    max_tokens: MAX_TOKENS,
    temperature: 0,
    stream: true,
  });
  const reply = sse.post(`${BASE_URL}/v1/chat/completions`, body, {
    headers: HEADERS,
    timeoutMs: 60000,
    stopAfterEvents: leaves ? LEAVE_AFTER_EVENTS : 0,
  });
  const last = reply.events[reply.events.length - 1];
  const whole = check(reply, {
    'status 200': (r) => r.status === 200,
    'ended in order': (r) => r.error === '' && (r.stopped || (last && last.data === '[DONE]')),
  });
  if (!whole) console.error(`HTTP ${reply.status} ${reply.error} ${reply.body.slice(0, 200)}`);

  const times = reply.events.filter((event) => hasText(event.data)).map((event) => event.atMs);
  if (times.length > 0) ttftMs.add(times[0]);
  for (let i = 1; i < times.length; i++) itlMs.add(times[i] - times[i - 1]);
  textEvents.add(times.length);
  if (reply.stopped) left.add(1);
  else totalMs.add(reply.durationMs);
}

function hasText(data) {
  if (data === '[DONE]') return false;
  const { choices } = JSON.parse(data);
  return Boolean(choices?.[0]?.delta?.content);
}
