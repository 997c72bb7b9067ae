import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runToEnd } from './processes.ts';

const folder = import.meta.dirname;
export const cacheFolder = join(folder, '.cache');

/** Carries the sources of llama.cpp 0.5.0; the only way to have them through a package registry. */
const SOURCES = 'llama-cpp-python==0.3.36';

export async function installNodePackages(): Promise<void> {
  if (existsSync(join(folder, 'node_modules/.package-lock.json'))) return;
  // No scripts: they would fetch sources from elsewhere. Nothing optional: those are gigabytes of builds for GPUs.
  // No lockfile: npm writes one that it then refuses, for the builds of other systems.
  const leave = ['--ignore-scripts', '--omit=optional', '--no-package-lock', '--no-audit', '--no-fund'];
  await runToEnd(['npm', 'install', ...leave], folder);
}

/** The folder of llama.cpp's programs, built for this machine on the first time, in a quarter of an hour. */
export async function installLlamaCpp(say: (line: string) => void): Promise<string> {
  const build = join(cacheFolder, 'llama.cpp');
  const bin = join(build, 'bin');
  if (existsSync(join(bin, 'llama-server')) && existsSync(join(bin, 'llama-batched-bench'))) return bin;
  await runToEnd(['cmake', '--version']);
  await runToEnd(['c++', '--version']);
  const sources = await fetchSources(say);
  say('building llama.cpp');
  const off = ['LLAMA_CURL', 'LLAMA_OPENSSL', 'LLAMA_BUILD_TESTS', 'LLAMA_BUILD_EXAMPLES'];
  await runToEnd([
    ...['cmake', '-S', sources, '-B', build, '-DCMAKE_BUILD_TYPE=Release', '-DGGML_NATIVE=ON'],
    ...off.map((option) => `-D${option}=OFF`),
  ]);
  await runToEnd([
    'cmake',
    '--build',
    build,
    '--parallel',
    '2',
    '--target',
    'llama-server',
    'llama-batched-bench',
    'llama-quantize',
  ]);
  return bin;
}

/** The model in the format that llama.cpp computes fastest, made by llama.cpp from the file that everybody else has. */
export async function requantised(binFolder: string, model: string): Promise<string> {
  const target = join(cacheFolder, `${basename(model, '.gguf')}-q4_0.gguf`);
  if (!existsSync(target))
    await runToEnd([join(binFolder, 'llama-quantize'), '--allow-requantize', model, target, 'Q4_0']);
  return target;
}

async function fetchSources(say: (line: string) => void): Promise<string> {
  const target = join(cacheFolder, 'sources');
  mkdirSync(target, { recursive: true });
  const unpacked = () => readdirSync(target).find((name) => /^llama_cpp_python-[^/]*\d$/.test(name));
  if (unpacked() === undefined) {
    say(`fetching the sources of llama.cpp (${SOURCES})`);
    const pip = ['python3', '-m', 'pip', 'download', '--no-deps', '--no-binary', 'llama-cpp-python'];
    await runToEnd([...pip, SOURCES, '--dest', target]);
    const archive = readdirSync(target).find((name) => name.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`${SOURCES} came without sources`);
    await runToEnd(['tar', '-xzf', join(target, archive), '-C', target]);
  }
  return join(target, unpacked()!, 'vendor/llama.cpp');
}
