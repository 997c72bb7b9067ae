import type { Config } from '../../config/schema.ts';
import type { UpstreamConfig } from '../../config/upstream.ts';
import { expectedModels } from '../fleet/expected-models.ts';
import { transportFix } from '../upstream/http/transport-failure.ts';
import type { Check } from './check.ts';
import { askForModels, findApiRoot } from './model-list.ts';

const LOOK = 'Start that server, or correct its url.';

/** Asks every upstream which models it serves. */
export async function checkUpstreams(config: Config): Promise<Check[]> {
  return await Promise.all(
    config.upstreams.map((upstream) => checkUpstream(upstream, expectedModels(config, upstream.name))),
  );
}

async function checkUpstream(upstream: UpstreamConfig, expected: readonly string[]): Promise<Check> {
  const { name, url, probe } = upstream;
  const common = { section: 'upstreams', name } as const;
  const failed = (detail: string, fix: string): Check => ({ ...common, status: 'failed', detail, fix });
  try {
    const startedAtMs = performance.now();
    const { statusCode, served, wantsTls } = await askForModels(url, upstream);
    const ms = Math.round(performance.now() - startedAtMs);
    if (statusCode === 401 || statusCode === 403)
      return failed(
        `${url} refuses the API key (HTTP ${statusCode})`,
        'Set its apiKey to one that it knows.',
      );
    if (wantsTls) return failed(`${url} speaks TLS`, 'Begin its url with https://.');
    if (statusCode >= 500)
      return failed(`${url} answers with HTTP ${statusCode}`, 'Look at the log of that server.');
    if (served === undefined) {
      const root = await findApiRoot(upstream);
      if (root !== undefined)
        return failed(`${url} lists no models, but ${root} does`, `Set its url to the API root: ${root}`);
      const how = statusCode === 200 ? '' : ` with HTTP ${statusCode}`;
      return {
        ...common,
        status: 'warning',
        detail: `${url} answers in ${ms} ms${how}, but lists no models`,
      };
    }
    const missing = expected.filter((model) => !served.includes(model));
    const facts = { served, missing, answeredInMs: ms };
    if (missing.length === 0)
      return {
        ...common,
        status: 'ok',
        detail: `${url} answers in ${ms} ms; serves ${served.join(', ')}`,
        facts,
      };
    return {
      ...failed(
        `${url} does not list ${missing.join(', ')}; it serves ${served.join(', ') || 'nothing'}`,
        'Correct `model` in the deployments, or start that server with these models.',
      ),
      facts,
    };
  } catch (error) {
    const { name: kind, message, code } = error as NodeJS.ErrnoException;
    const why = kind === 'TimeoutError' ? `no answer within ${probe.timeoutMs} ms` : (code ?? message);
    return failed(`${url} cannot be reached: ${why}`, transportFix(error as Error) ?? LOOK);
  }
}
