import { existsSync, rmdirSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { makeFolder } from '../core/make-folder.ts';
import { sizeText } from '../local/memory-estimate.ts';
import { addressText } from '../upstream/http/address.ts';
import type { Check } from './check.ts';

/** Less makes logs and graphs fail soon. */
const LEAST_FREE_BYTES = 2 ** 30;
/** A gateway on this machine says so at once. */
const ASK_MS = 2_000;

export function checkDataDir(dataDir: string): Check {
  const place = existingAncestor(resolve(dataDir));
  const common = { section: 'configuration', name: `dataDir ${dataDir}` } as const;
  try {
    makeFolderIn(place);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const { reason, fix } = fileTrouble(code) ?? { reason: message };
    return {
      ...common,
      status: 'failed',
      detail: `${place} cannot be written: ${reason}`,
      fix: `${fix === undefined ? 'Choose' : `${fix}, or choose`} another place with dataDir or --data-dir.`,
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

/** For a moment: rights do not say that there is room, nor that the file system takes anything. */
function makeFolderIn(place: string): void {
  const folder = join(place, `.qianmen-doctor-${process.pid}`);
  makeFolder(folder);
  rmdirSync(folder);
}

/** It is made when the gateway starts: until then what is above it counts. */
function existingAncestor(path: string): string {
  return existsSync(path) ? path : existingAncestor(dirname(path));
}

export async function checkPort({ listen: { host, port } }: Config): Promise<Check> {
  const common = { section: 'configuration', name: `${host}:${port}` } as const;
  const error = await bind(host, port);
  if (error === undefined) return { ...common, status: 'ok', detail: 'free' };
  const gateway = error.code === 'EADDRINUSE' ? await gatewayAt(host, port) : undefined;
  if (gateway !== undefined)
    return {
      ...common,
      status: 'warning',
      detail: `a gateway is there, and says that it is ${gateway}`,
      fix: 'Is it another one than this is to be? Choose another address with listen or --port.',
    };
  return {
    ...common,
    status: 'failed',
    detail: error.code === 'EADDRINUSE' ? 'taken by another process' : error.message,
    fix: 'Stop what uses it, maybe another gateway, or choose another address with listen or --port.',
  };
}

/** @returns What it says of itself. Undefined: what is there is none. */
async function gatewayAt(host: string, port: number): Promise<string | undefined> {
  try {
    const url = `http://${addressText({ host, port })}/readyz`;
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_MS) });
    const { status, backends } = (await response.json()) as { status?: unknown; backends?: unknown };
    return typeof status === 'string' && typeof backends === 'object' ? status : undefined;
  } catch {
    return undefined;
  }
}

function bind(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
