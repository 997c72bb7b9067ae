import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/gateway-process.ts';
import { pythonMissing, pythonPath } from '../tools/python.ts';
import { serveEmbedded, serveRelayed } from './server.ts';

const SCRIPT = fileURLToPath(new URL('./openai_client.py', import.meta.url));

/** The checks themselves are in the script: they are written as a user of the SDK would. */
describe.skipIf(pythonMissing())('OpenAI SDK for Python', () => {
  it.each([
    ['embedded', serveEmbedded],
    ['relayed', serveRelayed],
  ] as const)('%s: every check of the script passes', async (_way, serve) => {
    const served = await serve();
    try {
      const { stdout } = await promisify(execFile)(pythonPath(), [SCRIPT, served.baseURL, served.model]);
      const results = JSON.parse(stdout) as Record<string, string | null>;
      expect(Object.keys(results).length).toBeGreaterThan(5);
      expect(Object.fromEntries(Object.entries(results).filter(([, problem]) => problem !== null))).toEqual(
        {},
      );
      await eventually('nothing is in flight', () => served.gateway.inFlight === 0, 5_000);
    } finally {
      await served.close();
    }
  });
});
