import { onTestFinished } from 'vitest';
import { configSchema } from '../../config/schema.ts';
import type { BackendReport, ModelReport } from '../../src/core/report.ts';
import type { RunningGateway } from '../../src/running-gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { type FakeBehaviour, type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { newDataDir } from '../support/data-dir.ts';
import { chatBody, eventually, metric } from '../support/gateway-process.ts';

export interface FleetOptions {
  /** Of every entry under `upstreams`. */
  readonly upstream?: UpstreamEntry;
  /** Of single ones, by name. */
  readonly upstreams?: Readonly<Record<string, UpstreamEntry>>;
  readonly model?: object;
  readonly limits?: object;
  readonly listen?: object;
}

interface UpstreamEntry {
  readonly probe?: object;
  readonly [option: string]: unknown;
}

/** No server is taken for down because the machine is busy. */
const PATIENT = { timeoutMs: 10_000 };

/** A gateway in this process with one model, `m`, behind it. Ends with the test. */
export interface ServedFleet {
  readonly url: string;
  readonly running: RunningGateway;
  ask(options?: AskOptions): Promise<Answer>;
  model(): ModelReport;
  backend(name: string): BackendReport;
  metric(name: string): Promise<number>;
  /** Nothing is left of any request. */
  idle(): Promise<void>;
}

export interface AskOptions {
  readonly stream?: boolean;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Told all that has come of the reply so far. */
  readonly onText?: (text: string) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly durationMs: number;
}

/** Serves upstreams named a, b, c … at these URLs. */
export async function serveUpstreams(
  urls: readonly string[],
  options: FleetOptions = {},
): Promise<ServedFleet> {
  const names = urls.map((_, i) => String.fromCharCode(97 + i));
  const running = await startGateway(
    configSchema.parse({
      listen: { port: 0, ...options.listen },
      dataDir: newDataDir(),
      upstreams: urls.map((url, i) => {
        const entry = { ...options.upstream, ...options.upstreams?.[names[i]!] };
        return { name: names[i], url, ...entry, probe: { ...PATIENT, ...entry.probe } };
      }),
      models: [
        {
          name: 'm',
          // In turn, so that tests know who is asked.
          policy: 'round-robin',
          deployments: names.map((upstream) => ({ upstream, model: 'fake-model' })),
          ...options.model,
        },
      ],
      limits: options.limits ?? {},
      log: { level: 'silent' },
    }),
  );
  onTestFinished(() => running.close());
  const { url, gateway } = running;
  const model = () => gateway.report().models[0]!;
  const backend = (name: string) => gateway.report().backends.find((b) => b.name === name)!;
  return {
    url,
    running,
    model,
    backend,
    metric: (name) => metric(url, name),
    async ask({ stream = true, signal, headers = {}, body = {}, onText = () => {} } = {}) {
      const startedAtMs = performance.now();
      const reply = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: chatBody('m', { stream, ...body }),
        ...(signal && { signal }),
      });
      let text = '';
      for await (const piece of reply.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        onText(text);
      }
      return {
        status: reply.status,
        headers: reply.headers,
        text,
        durationMs: performance.now() - startedAtMs,
      };
    },
    async idle() {
      const { backends } = gateway.report();
      await eventually(
        'nothing is left',
        () => gateway.inFlight === 0 && backends.every(({ name }) => backend(name).health.inFlight === 0),
        5_000,
      );
      for (const { name } of backends) if (backend(name).inFlight !== 0) throw new Error(`${name} is held`);
      const { active, queued, retrying, retriesWaiting } = model();
      if (active + queued + retrying + retriesWaiting !== 0) throw new Error('a request was not forgotten');
    },
  };
}

/** The same over fakes in this process. */
export async function serveFleet(
  behaviours: readonly FakeBehaviour[],
  options: FleetOptions = {},
): Promise<ServedFleet & { readonly fakes: readonly FakeUpstream[] }> {
  const fakes = await Promise.all(behaviours.map((behaviour) => startFakeUpstream({ behaviour })));
  onTestFinished(async () => {
    await Promise.all(fakes.map((fake) => fake.close().catch(() => {})));
  });
  const fleet = await serveUpstreams(
    fakes.map((fake) => fake.url),
    options,
  );
  return { ...fleet, fakes };
}

/** A reply that ended as it should. */
export function isWhole({ status, text }: Pick<Answer, 'status' | 'text'>): boolean {
  return status === 200 && text.trimEnd().endsWith('data: [DONE]') && !text.includes('"error"');
}

export { eventually };
