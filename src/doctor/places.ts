import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { sizeText } from '../local/memory-estimate.ts';
import type { Check } from './check.ts';

/** Less makes logs and graphs fail soon. */
const LEAST_FREE_BYTES = 2 ** 30;

export function checkDataDir(dataDir: string): Check {
  const place = existingAncestor(resolve(dataDir));
  const common = { section: 'configuration', name: `dataDir ${dataDir}` } as const;
  try {
    accessSync(place, constants.W_OK | constants.X_OK);
  } catch {
    return {
      ...common,
      status: 'failed',
      detail: `${place} cannot be written`,
      fix: 'Give this user the right to write there, or choose another place with dataDir or --data-dir.',
    };
  }
  const { bavail, bsize } = statfsSync(place);
  const freeBytes = bavail * bsize;
  const scarce = freeBytes < LEAST_FREE_BYTES;
  return {
    ...common,
    status: scarce ? 'failed' : 'ok',
    detail: `writable, ${sizeText(freeBytes)} free`,
    ...(scarce ? { fix: `Free at least ${sizeText(LEAST_FREE_BYTES)} there.` } : {}),
    facts: { freeBytes },
  };
}

/** It is made when the gateway starts: until then what is above it counts. */
function existingAncestor(path: string): string {
  return existsSync(path) ? path : existingAncestor(dirname(path));
}

export async function checkPort({ listen: { host, port } }: Config): Promise<Check> {
  const common = { section: 'configuration', name: `${host}:${port}` } as const;
  const error = await bind(host, port);
  if (error === undefined) return { ...common, status: 'ok', detail: 'free' };
  return {
    ...common,
    status: 'failed',
    detail: error.code === 'EADDRINUSE' ? 'taken by another process' : error.message,
    fix: 'Stop what uses it, maybe another gateway, or choose another address with listen or --port.',
  };
}

function bind(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
