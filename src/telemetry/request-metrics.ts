import type { Registry } from 'prom-client';
import type { RequestSettled } from '../core/event.ts';
import { type CounterSeries, countedIn, type HistogramSeries, type Labels, timedIn } from './series.ts';

export const TTFT_BUCKETS_S = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
];
export const TPOT_BUCKETS_S = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const DURATION_BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/**
 * Counts settled requests. This runs once per request on the relay's hot path: the series of a model are found by its name
 * and then written to without hashing any label.
 */
export function requestMetrics(registry: Registry): (event: RequestSettled) => void {
  const requests = countedIn(registry, {
    name: 'qianmen_requests_total',
    help: 'Requests by how they ended.',
  });
  const attempts = countedIn(registry, {
    name: 'qianmen_backend_attempts_total',
    help: 'Attempts at backends, fail-over included; code is ok, lost (another was answered first) or the error.',
  });
  const duration = timedIn(registry, {
    name: 'qianmen_request_duration_seconds',
    help: 'From receipt to settled.',
    buckets: DURATION_BUCKETS_S,
  });
  const seriesOfModel = keyed(modelSeries(registry));
  const requestSeries = keyed((model, endpoint, outcome, code) =>
    requests({ model, endpoint, outcome, code }),
  );
  const durationSeries = keyed((model, endpoint) => duration({ model, endpoint }));
  const attemptSeries = keyed((backend, code) => attempts({ backend, code }));

  return (event) => {
    const model = event.model ?? 'unknown';
    const series = seriesOfModel(model);
    const { usage } = event;
    requestSeries(model, event.endpoint, event.outcome, event.code ?? 'ok').add(1);
    for (const { backend, code, lost } of event.attempts)
      attemptSeries(backend, lost ? 'lost' : (code ?? 'ok')).add(1);
    series.promptTokens.add(usage.promptTokens);
    series.cachedPromptTokens.add(usage.cachedPromptTokens);
    series.completionTokens.add(usage.completionTokens);
    durationSeries(model, event.endpoint).observe(event.durationMs / 1000);
    if (event.ttftMs !== undefined) for (const ttft of series.ttft) ttft.observe(event.ttftMs / 1000);
    if (event.tpotMs !== undefined) for (const tpot of series.tpot) tpot.observe(event.tpotMs / 1000);
  };
}

interface ModelSeries {
  readonly promptTokens: CounterSeries;
  readonly cachedPromptTokens: CounterSeries;
  readonly completionTokens: CounterSeries;
  /** Under our own name and under the GenAI conventions' one. */
  readonly ttft: readonly HistogramSeries[];
  readonly tpot: readonly HistogramSeries[];
}

function modelSeries(registry: Registry): (model: string) => ModelSeries {
  const tokens = countedIn(registry, {
    name: 'qianmen_tokens_total',
    help: 'Tokens by kind: prompt, cached_prompt, completion.',
  });
  const timing = (name: string, help: string, buckets: readonly number[]) =>
    timedIn(registry, { name, help, buckets });
  const ttft = timing(
    'qianmen_time_to_first_token_seconds',
    'From receipt to the first token.',
    TTFT_BUCKETS_S,
  );
  const tpot = timing(
    'qianmen_time_per_output_token_seconds',
    'Mean per request, after the first token.',
    TPOT_BUCKETS_S,
  );
  const genAiTtft = timing(
    'gen_ai_server_time_to_first_token_seconds',
    'Time to first token.',
    TTFT_BUCKETS_S,
  );
  const genAiTpot = timing(
    'gen_ai_server_time_per_output_token_seconds',
    'Time per output token.',
    TPOT_BUCKETS_S,
  );
  return (model) => {
    const genAi: Labels = { gen_ai_request_model: model };
    return {
      promptTokens: tokens({ model, kind: 'prompt' }),
      cachedPromptTokens: tokens({ model, kind: 'cached_prompt' }),
      completionTokens: tokens({ model, kind: 'completion' }),
      ttft: [ttft({ model }), genAiTtft(genAi)],
      tpot: [tpot({ model }), genAiTpot(genAi)],
    };
  };
}

interface Node<S> {
  readonly next: Map<string, Node<S>>;
  series: S | undefined;
}

/**
 * Remembers what `create` made for these labels. Mostly they are those of the last call; otherwise they are looked
 * up one after another, as joining them would cost more.
 */
function keyed<S>(create: (a: string, b: string, c: string, d: string) => S) {
  const root: Node<S> = { next: new Map(), series: undefined };
  const below = ({ next }: Node<S>, label: string): Node<S> => {
    let node = next.get(label);
    if (node === undefined) {
      node = { next: new Map(), series: undefined };
      next.set(label, node);
    }
    return node;
  };
  let last = { a: '', b: '', c: '', d: '', series: undefined as S | undefined };
  return (a: string, b = '', c = '', d = ''): S => {
    if (last.series !== undefined && a === last.a && b === last.b && c === last.c && d === last.d)
      return last.series;
    const node = below(below(below(below(root, a), b), c), d);
    node.series ??= create(a, b, c, d);
    last = { a, b, c, d, series: node.series };
    return node.series;
  };
}
