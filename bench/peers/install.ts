import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, peersFolder } from './paths.ts';
import { runToEnd } from './processes.ts';

const INSTALL_LIMIT_MS = 15 * 60_000;

/** Puts packages of this folder's package.json into its node_modules. */
export async function installNodePackages(): Promise<void> {
  if (existsSync(join(peersFolder, 'node_modules/.package-lock.json'))) return;
  await runToEnd(['npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
    timeoutMs: INSTALL_LIMIT_MS,
    cwd: peersFolder,
  });
}

/** A virtual environment with one requirement, in the cache. @returns Its folder */
export async function installPython(name: string, requirement: string): Promise<string> {
  const folder = join(cacheFolder, name);
  const mark = join(folder, 'bin', name);
  if (existsSync(mark)) return folder;
  await runToEnd(['python3', '-m', 'venv', folder], { timeoutMs: 60_000 });
  await runToEnd(
    [join(folder, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', requirement],
    {
      timeoutMs: INSTALL_LIMIT_MS,
    },
  );
  if (!existsSync(mark)) throw new Error(`${requirement} brought no command ${name}`);
  return folder;
}

export async function pythonVersion(name: string): Promise<string> {
  const code = `import importlib.metadata as m; print(m.version(${JSON.stringify(name)}))`;
  return (await runToEnd([join(cacheFolder, name, 'bin/python'), '-c', code], { timeoutMs: 20_000 })).trim();
}

/** The upstream and the load generator. @returns Their folder */
export async function buildGoPrograms(): Promise<string> {
  await runToEnd(['go', 'version'], { timeoutMs: 20_000 }).catch(() => {
    throw new Error(
      'Go is needed for the upstream and the load generator (1.24 or newer): install it and try again.',
    );
  });
  const bin = join(cacheFolder, 'bin');
  // Go takes it for a folder only if it is one.
  mkdirSync(bin, { recursive: true });
  await runToEnd(['go', 'build', '-o', bin, './upstream', './loadgen'], {
    timeoutMs: 180_000,
    cwd: peersFolder,
  });
  return bin;
}
