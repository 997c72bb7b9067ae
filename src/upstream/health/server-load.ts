import { asWire, jsonOf } from '../wire/wire-chunk.ts';

/** What a server says of itself. */
export interface ServerLoad {
  /** Requests that have not begun. */
  readonly waiting: number;
  readonly running: number;
}

/** By the model's name at the server; under `undefined` where it does not tell them apart. */
export type ServerLoads = ReadonlyMap<string | undefined, ServerLoad>;

/** A page of a server that tells its load, and how to read it; undefined: it does not say. */
export interface LoadPage {
  /** Below the server's root, not the API's. */
  readonly path: string;
  read(body: string): ServerLoads | undefined;
}

/** Those that are known, the most telling first. */
export const LOAD_PAGES: readonly LoadPage[] = [
  { path: '/metrics', read: readMetrics },
  // SGLang without --enable-metrics.
  { path: '/v1/loads', read: readSglangLoads },
  // llama.cpp without --metrics.
  { path: '/slots', read: readLlamaSlots },
];

/** Names of gauges, which have changed with the servers' versions. */
const WAITING = ['vllm:num_requests_waiting', 'sglang:num_queue_reqs', 'llamacpp:requests_deferred'];
const RUNNING = ['vllm:num_requests_running', 'sglang:num_running_reqs', 'llamacpp:requests_processing'];

/** Reads Prometheus' text format, by the names that vLLM, SGLang and llama.cpp have for what waits and what runs. */
function readMetrics(body: string): ServerLoads | undefined {
  const loads = new Map<string | undefined, { waiting: number; running: number }>();
  let waitingSeen = false;
  let runningSeen = false;
  for (const line of body.split('\n')) {
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    const waits = name !== undefined && WAITING.includes(name);
    if (!waits && (name === undefined || !RUNNING.includes(name))) continue;
    const count = Number(value);
    if (!Number.isFinite(count) || count < 0) return undefined;
    waitingSeen ||= waits;
    runningSeen ||= !waits;
    const model = MODEL.exec(labels)?.[1];
    const load = loads.get(model) ?? { waiting: 0, running: 0 };
    loads.set(model, load);
    // Several engines behind one server each have a line.
    if (waits) load.waiting += count;
    else load.running += count;
  }
  return waitingSeen && runningSeen ? loads : undefined;
}

const SAMPLE = /^([a-z]+:[a-z_]+)(\{[^}]*\})?\s+(\S+)/;
const MODEL = /\bmodel_name="([^"\\]*)"/;

function readSglangLoads(body: string): ServerLoads | undefined {
  const { loads } = asWire(jsonOf(body));
  if (!Array.isArray(loads) || loads.length === 0) return undefined;
  return total(loads.map((load) => [asWire(load).num_waiting_reqs, asWire(load).num_running_reqs]));
}

function readLlamaSlots(body: string): ServerLoads | undefined {
  const slots = jsonOf(body);
  if (!Array.isArray(slots) || slots.length === 0) return undefined;
  return total(slots.map((slot) => [0, asWire(slot).is_processing === true ? 1 : 0]));
}

function total(parts: readonly (readonly [unknown, unknown])[]): ServerLoads | undefined {
  let waiting = 0;
  let running = 0;
  for (const [waits, runs] of parts) {
    if (!isCount(waits) || !isCount(runs)) return undefined;
    waiting += waits;
    running += runs;
  }
  return new Map([[undefined, { waiting, running }]]);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
