import { configSchema } from '../../config/schema.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { startGateway } from '../../src/serve.ts';
import { type FakeUpstream, startFakeUpstream } from '../fakes/openai-upstream.ts';
import { REAL_MODEL, realModelPath } from '../model-file.ts';
import { newDataDir } from '../support/data-dir.ts';

/** A gateway on a free port of this machine, with one public model behind it. */
export interface Served {
  /** Without a path. */
  readonly url: string;
  readonly baseURL: string;
  readonly model: string;
  readonly gateway: Gateway;
  close(): Promise<void>;
}

export interface ServedByFake extends Served {
  readonly fake: FakeUpstream;
}

/** The real small model, in its engine process. `listen`: the section of the configuration. */
export async function serveEmbedded(listen: object = {}): Promise<Served> {
  const config = configSchema.parse({
    listen: { port: 0, ...listen },
    dataDir: newDataDir(),
    engines: [{ name: REAL_MODEL, path: realModelPath(), threads: 1, slots: 4 }],
    log: { level: 'silent' },
  });
  const running = await startGateway(config);
  await running.enginesSettled;
  if (!running.readiness().ready) {
    await running.close();
    throw new Error(`the engine did not start: ${JSON.stringify(running.readiness())}`);
  }
  const { url, gateway, close } = running;
  return { url, baseURL: `${url}/v1`, model: REAL_MODEL, gateway, close };
}

/** A fake vLLM behind the relay. */
export async function serveRelayed(listen: object = {}): Promise<ServedByFake> {
  const fake = await startFakeUpstream({ models: ['fake-model'] });
  const config = configSchema.parse({
    listen: { port: 0, ...listen },
    dataDir: newDataDir(),
    upstreams: [{ name: 'fake', url: fake.url }],
    models: [{ name: 'relayed', deployments: [{ upstream: 'fake', model: 'fake-model' }] }],
    log: { level: 'silent' },
  });
  const running = await startGateway(config);
  const { url, gateway } = running;
  return {
    url,
    baseURL: `${url}/v1`,
    model: 'relayed',
    gateway,
    fake,
    close: async () => {
      await running.close();
      await fake.close();
    },
  };
}
