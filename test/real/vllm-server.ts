import { join } from 'node:path';
import { startServerProcess } from './server-process.ts';

export interface VllmServer {
  /** API root. */
  readonly url: string;
  readonly apiKey: string;
  readonly model: string;
  /** `vllm:num_requests_running`, as the server tells it now. */
  running(): Promise<number>;
  close(): Promise<void>;
}

/** Starts vLLM from an environment that install-vllm.sh prepared. Takes about a minute. */
export async function startVllm(venv: string): Promise<VllmServer> {
  const apiKey = 'sk-real-lane';
  const { root, close } = await startServerProcess(
    join(venv, 'bin', 'vllm'),
    (port) => {
      const flags = {
        '--served-model-name': 'smollm2',
        '--host': '127.0.0.1',
        '--port': port,
        '--max-model-len': '2048',
        '--dtype': 'float32',
        '--api-key': apiKey,
      };
      const options = ['--enforce-eager', '--enable-prompt-tokens-details'];
      return ['serve', join(venv, 'model'), ...Object.entries(flags).flat(), ...options];
    },
    {
      ...process.env,
      PATH: `${join(venv, 'bin')}:${process.env.PATH}`,
      HF_HUB_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      VLLM_CPU_KVCACHE_SPACE: '1',
      VLLM_CPU_OMP_THREADS_BIND: 'nobind',
    },
  );
  return {
    url: `${root}/v1`,
    apiKey,
    model: 'smollm2',
    async running() {
      const metrics = await (await fetch(`${root}/metrics`)).text();
      return Number(/^vllm:num_requests_running\{[^}]*\} (\S+)$/m.exec(metrics)?.[1] ?? Number.NaN);
    },
    close,
  };
}
