import { request } from 'undici';
import type { UpstreamConfig } from '../../config/upstream.ts';
import { parseServedModels } from '../upstream/health/served-models.ts';
import { wantsTls } from '../upstream/wire/wants-tls.ts';

export interface ModelList {
  readonly statusCode: number;
  /** Undefined where the answer is no list of models. */
  readonly served: readonly string[] | undefined;
  /** It speaks TLS, and was spoken to without. */
  readonly wantsTls: boolean;
}

/** Asks what is at `url`, which may be another than the upstream's own, for its models. @throws What undici throws, a TimeoutError among it. */
export async function askForModels(url: string, { apiKey, probe }: UpstreamConfig): Promise<ModelList> {
  const { statusCode, body } = await request(`${withoutSlash(url)}/models`, {
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    signal: AbortSignal.timeout(probe.timeoutMs),
  });
  const text = await body.text();
  return { statusCode, served: parseServedModels(text), wantsTls: wantsTls(statusCode, text) };
}

/**
 * Where the API is, if the upstream's URL is one that people write in its place: the server itself, or a path below the root.
 *
 * @returns A URL that lists models; undefined where none of them does.
 */
export async function findApiRoot(upstream: UpstreamConfig): Promise<string | undefined> {
  const written = withoutSlash(upstream.url);
  const above = written.replace(/\/(models|chat)$/, '');
  for (const url of [above, `${above}/v1`]) {
    if (url === written) continue;
    const found = await askForModels(url, upstream).catch(() => undefined);
    if (found?.served !== undefined) return url;
  }
  return undefined;
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '');
}
