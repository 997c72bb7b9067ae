import { ERROR_CATALOGUE } from '../src/core/error.ts';

/** What Grafana calls a target: a query and how its series are named. */
export type Query = readonly [expression: string, legend: string];

export interface Panel {
  readonly title: string;
  /** What to make of it; shown beside the title. */
  readonly help?: string;
  /** @see https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** One number in place of a graph; coloured from these values on. */
  readonly warnAt?: number;
  readonly alarmAt?: number;
}

export interface Row {
  readonly title: string;
  /** Closed until it is wanted. */
  readonly isFolded?: boolean;
  /** Each a number of its own rather than a graph. */
  readonly areNumbers?: boolean;
  readonly panels: readonly Panel[];
}

const JOB = 'job=~"$job"';
const MODEL = `${JOB},model=~"$model"`;
const EVERY = '[$__rate_interval]';
/** Codes of requests that the gateway, or what is behind it, has failed. */
const FAULTS = Object.entries(ERROR_CATALOGUE)
  .filter(([, { status }]) => status >= 500)
  .map(([code]) => code)
  .join('|');

const rate = (metric: string, labels: string) => `rate(${metric}{${labels}}${EVERY})`;
const sum = (what: string, by?: string) => (by ? `sum by (${by}) (${what})` : `sum(${what})`);
const quantile = (q: number, histogram: string, labels: string, by = '') =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (${rate(`${histogram}_bucket`, labels)}))`;
const mean = (histogram: string, labels: string, by: string) =>
  `${sum(rate(`${histogram}_sum`, labels), by)} / ${sum(rate(`${histogram}_count`, labels), by)}`;
/** Of a histogram by model: what half, nearly all and all but a few stay under. */
const quantiles = (histogram: string): Query[] =>
  [0.5, 0.95, 0.99].map((q) => [quantile(q, histogram, MODEL, 'model'), `{{model}} p${q * 100}`]);

const requests = sum(rate('qianmen_requests_total', MODEL));
const dollarsPerHour = (metric: string, by?: string) => `${sum(rate(metric, MODEL), by)} * 3600 / 1e9`;

export const ROWS: readonly Row[] = [
  {
    title: 'At a glance',
    areNumbers: true,
    panels: [
      { title: 'Requests', unit: 'reqps', queries: [[requests, '']] },
      {
        title: 'Failed',
        help: 'Of all requests, those that ended in a status of 500 or above.',
        unit: 'percentunit',
        queries: [
          [
            `(${sum(rate('qianmen_requests_total', `${MODEL},code=~"${FAULTS}"`))} or vector(0)) / ${requests}`,
            '',
          ],
        ],
        warnAt: 0.005,
        alarmAt: 0.05,
      },
      {
        title: 'First token, p95',
        unit: 's',
        queries: [[quantile(0.95, 'qianmen_time_to_first_token_seconds', MODEL), '']],
        warnAt: 2,
        alarmAt: 10,
      },
      { title: 'In flight', unit: 'short', queries: [[sum(`qianmen_requests_in_flight{${JOB}}`), '']] },
      {
        title: 'In line',
        unit: 'short',
        queries: [[sum(`qianmen_queue_length{${MODEL}}`), '']],
        warnAt: 1,
        alarmAt: 100,
      },
      {
        title: 'Tokens written',
        unit: 'short',
        help: 'A second.',
        queries: [[sum(rate('qianmen_tokens_total', `${MODEL},kind="completion"`)), '']],
      },
      {
        title: 'Callers pay',
        help: 'An hour, at the pace of now.',
        unit: 'currencyUSD',
        queries: [[dollarsPerHour('qianmen_cost_nanousd_total'), '']],
      },
      {
        title: 'Servers down',
        unit: 'short',
        queries: [[`count(qianmen_backend_up{${JOB}} == 0) or vector(0)`, '']],
        alarmAt: 1,
      },
    ],
  },
  {
    title: 'Requests',
    panels: [
      {
        title: 'Requests by model',
        unit: 'reqps',
        queries: [[sum(rate('qianmen_requests_total', MODEL), 'model'), '{{model}}']],
      },
      {
        title: 'Requests that were not answered',
        help: 'By code. client_closed: the client went away.',
        unit: 'reqps',
        queries: [[sum(rate('qianmen_requests_total', `${MODEL},code!="ok"`), 'code'), '{{code}}']],
      },
      {
        title: 'Turned away at the door',
        help: 'Before a model was looked for: keys, limits, budgets, what cannot be read.',
        unit: 'reqps',
        queries: [[sum(rate('qianmen_requests_refused_total', JOB), 'code'), '{{code}}']],
      },
      { title: 'First token', unit: 's', queries: quantiles('qianmen_time_to_first_token_seconds') },
      { title: 'Each further token', unit: 's', queries: quantiles('qianmen_time_per_output_token_seconds') },
      { title: 'Whole request', unit: 's', queries: quantiles('qianmen_request_duration_seconds') },
      {
        title: 'Tokens',
        help: 'A second. cached_prompt: of the prompt, what the server did not have to compute.',
        unit: 'short',
        queries: [[sum(rate('qianmen_tokens_total', MODEL), 'kind'), '{{kind}}']],
      },
    ],
  },
  {
    title: 'The line',
    panels: [
      {
        title: 'Waiting',
        unit: 'short',
        queries: [[sum(`qianmen_queue_length{${MODEL}}`, 'model'), '{{model}}']],
      },
      {
        title: 'Waited so far',
        unit: 's',
        queries: [[`max by (model) (qianmen_queue_oldest_seconds{${MODEL}})`, '{{model}}, the first']],
      },
      { title: 'Waited until served', unit: 's', queries: quantiles('qianmen_queue_wait_seconds') },
      {
        title: 'Projects with the most in line',
        unit: 'short',
        queries: [
          [sum(`qianmen_queue_project_length{${MODEL}}`, 'model, project'), '{{project}} at {{model}}'],
        ],
      },
      {
        title: 'Their places in line',
        help: 'Of a request that came now: 1 is served next.',
        unit: 'short',
        queries: [
          [`max by (model, project) (qianmen_queue_project_position{${MODEL}})`, '{{project}} at {{model}}'],
        ],
      },
      {
        title: 'Refused',
        help: 'excess: of them, those whose project had more than its share of the line.',
        unit: 'reqps',
        queries: [
          [sum(rate('qianmen_queue_refused_total', MODEL), 'model, reason'), '{{model}}: {{reason}}'],
          [sum(rate('qianmen_queue_excess_refused_total', MODEL), 'model'), '{{model}}: excess'],
        ],
      },
    ],
  },
  {
    title: 'Servers',
    panels: [
      {
        title: 'Up',
        unit: 'short',
        queries: [[`min by (backend) (qianmen_backend_up{${JOB}})`, '{{backend}}']],
      },
      {
        title: 'Requests inside, and how many may be',
        help: 'shared: with so many inside, projects that have more than their share there wait while others are active.',
        unit: 'short',
        queries: [
          [sum(`qianmen_backend_requests_in_flight{${JOB}}`, 'backend'), '{{backend}}'],
          [sum(`qianmen_backend_concurrency_limit{${JOB}}`, 'backend'), '{{backend}}: limit'],
          [sum(`qianmen_backend_shared_limit{${JOB}}`, 'backend'), '{{backend}}: shared'],
        ],
      },
      {
        title: 'Left alone',
        help: 'Breaker open or half open; ejected for being far slower than its peers; cooling at its own request.',
        unit: 'short',
        queries: [
          [
            `max by (backend, state) (qianmen_backend_breaker_state{${JOB},state!="closed"}) > 0`,
            '{{backend}}: breaker {{state}}',
          ],
          [`max by (backend) (qianmen_backend_ejected{${JOB}}) > 0`, '{{backend}}: ejected'],
          [`max by (backend) (qianmen_backend_cooling{${JOB}}) > 0`, '{{backend}}: cooling'],
        ],
      },
      {
        title: 'First token, p95',
        help: 'Of the server alone, without the line.',
        unit: 's',
        queries: [
          [quantile(0.95, 'qianmen_backend_time_to_first_token_seconds', JOB, 'backend'), '{{backend}}'],
        ],
      },
      {
        title: 'Attempts that failed',
        unit: 'reqps',
        queries: [
          [
            sum(rate('qianmen_backend_attempts_total', `${JOB},code!~"ok|lost"`), 'backend, code'),
            '{{backend}}: {{code}}',
          ],
        ],
      },
      {
        title: 'Second chances',
        unit: 'reqps',
        queries: [
          [sum(rate('qianmen_retries_total', MODEL), 'backend'), 'tried again at {{backend}}'],
          [sum(rate('qianmen_hedges_total', MODEL), 'backend, result'), 'hedge at {{backend}}: {{result}}'],
        ],
      },
      {
        title: 'Retries, and how many may be',
        unit: 'short',
        queries: [
          [sum(`qianmen_retries_in_flight{${MODEL}}`, 'model'), '{{model}}'],
          [sum(`qianmen_retries_waiting{${MODEL}}`, 'model'), '{{model}}: waiting'],
          [sum(`qianmen_retry_budget{${MODEL}}`, 'model'), '{{model}}: budget'],
        ],
      },
      {
        title: 'On trial',
        help: 'Share of a deployment on trial; it falls to 0 where it did worse.',
        unit: 'percentunit',
        queries: [
          [`min by (model, deployment) (qianmen_canary_share{${MODEL}})`, '{{deployment}} of {{model}}'],
        ],
      },
    ],
  },
  {
    title: 'Money',
    panels: [
      {
        title: 'Callers pay, an hour',
        unit: 'currencyUSD',
        queries: [[dollarsPerHour('qianmen_cost_nanousd_total', 'model'), '{{model}}']],
      },
      {
        title: 'Paid in vain, an hour',
        help: 'What attempts that nobody got may have cost: those that failed midway, and hedges that lost.',
        unit: 'currencyUSD',
        queries: [[dollarsPerHour('qianmen_wasted_nanousd_total', 'model'), '{{model}}']],
      },
      {
        title: 'Budgets that have come to a share of themselves',
        unit: 'short',
        queries: [
          [
            sum(`qianmen_budget_alarms_total{${JOB}}`, 'subject, period, share'),
            '{{subject}}, {{share}} of the {{period}}',
          ],
        ],
      },
      {
        title: 'Not yet in the database',
        unit: 'bytes',
        queries: [[sum(`qianmen_ledger_backlog_bytes{${JOB}}`, 'instance'), '{{instance}}']],
      },
      {
        title: 'Database and shared limits',
        help: '1: they work.',
        unit: 'short',
        queries: [
          [`min by (instance) (qianmen_ledger_up{${JOB}})`, '{{instance}}: database'],
          [`min by (instance) (qianmen_shared_limits_up{${JOB}})`, '{{instance}}: shared limits'],
        ],
      },
    ],
  },
  {
    title: 'Local models',
    isFolded: true,
    panels: [
      {
        title: 'Decoded together',
        unit: 'short',
        queries: [[mean('qianmen_engine_batch_size', JOB, 'engine'), '{{engine}}']],
      },
      {
        title: 'One decode step, p95',
        unit: 's',
        queries: [[quantile(0.95, 'qianmen_engine_decode_step_seconds', JOB, 'engine'), '{{engine}}']],
      },
      {
        title: 'Prompt tokens',
        help: 'A second. Copied: from prompts that began alike.',
        unit: 'short',
        queries: [
          [sum(rate('qianmen_engine_prefill_tokens_total', JOB), 'engine'), '{{engine}}: computed'],
          [sum(rate('qianmen_engine_cached_tokens_total', JOB), 'engine'), '{{engine}}: copied'],
        ],
      },
      {
        title: 'Encoded together',
        unit: 'short',
        queries: [[mean('qianmen_encoder_batch_size', JOB, 'encoder'), '{{encoder}}']],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [
          [sum(`qianmen_local_model_resident_bytes{${MODEL}}`, 'model'), '{{model}}'],
          [sum(`qianmen_local_model_limit_bytes{${MODEL}}`, 'model'), '{{model}}: limit'],
          [sum(`qianmen_local_memory_budget_bytes{${JOB}}`), 'budget of all'],
        ],
      },
      {
        title: 'Loaded and unloaded',
        unit: 'short',
        queries: [
          [
            sum(`increase(qianmen_local_model_changes_total{${MODEL}}${EVERY})`, 'model, change, reason'),
            '{{model}} {{change}}: {{reason}}',
          ],
        ],
      },
    ],
  },
  {
    title: 'Processes',
    isFolded: true,
    panels: [
      {
        title: 'Event loop late, p99',
        unit: 's',
        queries: [[`max by (instance) (nodejs_eventloop_lag_p99_seconds{${JOB}})`, '{{instance}}']],
      },
      {
        title: 'Processors in use',
        unit: 'short',
        queries: [[sum(rate('process_cpu_seconds_total', JOB), 'instance'), '{{instance}}']],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [[sum(`process_resident_memory_bytes{${JOB}}`, 'instance'), '{{instance}}']],
      },
      {
        title: 'Workers',
        unit: 'short',
        queries: [
          [sum(`qianmen_workers{${JOB}}`, 'instance'), '{{instance}}'],
          [
            sum(`increase(qianmen_worker_restarts_total{${JOB}}${EVERY})`, 'instance'),
            '{{instance}}: replaced',
          ],
        ],
      },
      {
        title: 'Configuration in use is the last one read',
        unit: 'short',
        queries: [[`min by (instance) (qianmen_config_last_reload_success{${JOB}})`, '{{instance}}']],
      },
    ],
  },
];
