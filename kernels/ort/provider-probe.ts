import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ProviderError } from './provider-error.ts';
import { asMissingLibrary, type Machine, requireInstalled, thisMachine } from './provider-requirements.ts';
import type { Provider } from './providers.ts';

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const PROGRAM = new URL(`./provider-probe-process.${EXTENSION}`, import.meta.url);

/** Drivers compile their first shaders; the first use of CUDA may take ten seconds. */
const TIMEOUT_MS = 60_000;

/** What the trying process prints. */
export type ProbeOutcome =
  | { readonly works: true }
  | { readonly works: false; readonly missing: string; readonly remedy: string };

/**
 * Tries a provider on a tiny graph, in a process of its own: a driver that crashes or hangs takes nothing along. Blocks,
 * for half a second where all is well. Throws ProviderError.
 */
export function probeProvider(
  provider: Provider,
  machine: Machine = thisMachine(),
  program: URL = PROGRAM,
): void {
  const { name } = provider;
  if (name === 'cpu') return;
  requireInstalled(provider, machine);
  const { stdout, stderr, signal, status, error } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', fileURLToPath(program), JSON.stringify(provider)],
    { encoding: 'utf8', timeout: TIMEOUT_MS, killSignal: 'SIGKILL', windowsHide: true },
  );
  const outcome = outcomeIn(stdout);
  if (status === 0 && outcome?.works) return;
  if (outcome?.works === false)
    throw (
      asMissingLibrary(name, `${stderr}\n${outcome.missing}`) ??
      new ProviderError(name, outcome.missing, outcome.remedy)
    );
  const timedOut = (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
  const how = timedOut
    ? `trying it took longer than ${TIMEOUT_MS} ms`
    : `the process that tried it crashed (${signal ?? `exit code ${status}`})${lastLine(stderr)}`;
  throw new ProviderError(name, how, 'That is a fault of its driver: update it, or choose another provider.');
}

function outcomeIn(stdout: string | null): ProbeOutcome | undefined {
  try {
    return JSON.parse(stdout ?? '') as ProbeOutcome;
  } catch {
    return undefined;
  }
}

function lastLine(stderr: string | null): string {
  const line = stderr?.trim().split('\n').pop();
  return line ? `: ${line.slice(0, 200)}` : '';
}
