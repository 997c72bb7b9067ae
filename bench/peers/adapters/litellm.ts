import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPython, pythonVersion } from '../install.ts';
import { launch } from '../launch.ts';
import { cacheFolder } from '../paths.ts';
import { type Peer, UPSTREAM_MODEL } from '../peer.ts';

/** It does not start without one. */
const MASTER_KEY = 'sk-bench-peers-loopback-only-0123456789abcdef';

export const litellm: Peer = {
  name: 'litellm',
  setup:
    'one uvicorn worker, no database, no callbacks, master key, logs at error, access log off; model renamed',
  openRatePerSecond: 50,
  pacedStreams: 20,
  install: async () => {
    await installPython('litellm', 'litellm[proxy]==1.106.2');
  },
  version: () => pythonVersion('litellm'),
  async start(options) {
    const config = join(options.folder, 'config.yaml');
    const logging = join(options.folder, 'logging.json');
    // JSON is YAML.
    writeFileSync(
      config,
      JSON.stringify({
        model_list: [
          {
            model_name: 'bench',
            litellm_params: {
              model: `openai/${UPSTREAM_MODEL}`,
              api_base: `${options.upstreamUrl}/v1`,
              api_key: 'none',
            },
          },
        ],
        litellm_settings: { request_timeout: 600, set_verbose: false, json_logs: true, telemetry: false },
      }),
    );
    writeFileSync(
      logging,
      JSON.stringify({
        version: 1,
        disable_existing_loggers: false,
        loggers: { uvicorn: { level: 'ERROR' }, 'uvicorn.access': { level: 'CRITICAL', propagate: false } },
      }),
    );
    return launch(options, {
      command: [
        join(cacheFolder, 'litellm/bin/litellm'),
        ...['--config', config, '--log_config', logging],
        ...['--host', '127.0.0.1', '--port', String(options.port), '--num_workers', '1'],
      ],
      env: {
        LITELLM_MODE: 'PRODUCTION',
        LITELLM_LOG: 'ERROR',
        LITELLM_MASTER_KEY: MASTER_KEY,
        // Else it asks the internet for a price list.
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      },
      readyPath: '/health/liveliness',
      model: 'bench',
      headers: [`authorization: Bearer ${MASTER_KEY}`],
      limitMs: 120_000,
    });
  },
};
