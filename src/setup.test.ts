import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const typescript = fileURLToPath(new URL('../node_modules/typescript', import.meta.url));
const tsconfig = {
  compilerOptions: {
    rootDir: '.',
    outDir: 'dist',
    incremental: true,
    tsBuildInfoFile: 'dist/.tsbuildinfo',
    types: [],
  },
  include: ['src'],
};

let root: string;

/** A project in miniature with the real setup and the real compiler, and an npm that only pretends. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qianmen-setup-'));
  await mkdir(join(root, 'src'));
  await mkdir(join(root, 'bin'));
  for (const file of ['setup.mjs', 'setup-lock.mjs'])
    await cp(fileURLToPath(new URL(file, import.meta.url)), join(root, 'src', file));
  await write('package.json', JSON.stringify({ type: 'module', dependencies: { one: '1.0.0' } }));
  await lockVersion('1.0.0');
  await write('tsconfig.json', '{}');
  await write('tsconfig.build.json', JSON.stringify(tsconfig));
  await write('src/a.ts', 'export const a: number = 1;\n');
  await write('src/b.ts', 'export const b: number = 2;\n');
  await fakeNpm('');
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function write(file: string, text: string): Promise<void> {
  await writeFile(join(root, file), text);
}

async function lockVersion(version: string): Promise<void> {
  const packages = { '': {}, 'node_modules/one': { version } };
  await write('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages }));
}

/** Runs `extra`, then installs. Every call is noted in npm-calls. */
async function fakeNpm(extra: string): Promise<void> {
  const script = `#!/bin/sh
    echo "$@" >> npm-calls
    ${extra}
    rm -rf node_modules && mkdir -p node_modules/one node_modules/.bin
    echo '{}' > node_modules/one/package.json
    ln -s '${typescript}' node_modules/typescript`;
  await writeFile(join(root, 'bin/npm'), script, { mode: 0o755 });
}

interface Result {
  readonly code: number | null;
  readonly stderr: string;
}

function start(path = `${join(root, 'bin')}:/usr/bin:/bin`, more: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(root, 'src/setup.mjs')], {
    env: { PATH: path, ...more },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text;
  });
  const ended = new Promise<Result>((resolve) => child.once('close', (code) => resolve({ code, stderr })));
  return { child, ended, isWaiting: () => stderr.includes('another setup is at work') };
}

const setup = (path?: string): Promise<Result> => start(path).ended;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 20));
}

async function npmCalls(): Promise<number> {
  return (await readFile(join(root, 'npm-calls'), 'utf8').catch(() => '')).split('\n').length - 1;
}

describe('setup', () => {
  it('installs and builds a fresh checkout, and has nothing to do the second time', async () => {
    const first = await setup();
    expect(first.stderr).toMatch(/installing dependencies.*\n.*installed in .*\n.*building.*\n.*built in/);
    expect(first.code).toBe(0);
    expect(existsSync(join(root, 'dist/src/a.js'))).toBe(true);
    expect(await readFile(join(root, 'npm-calls'), 'utf8')).toContain(
      'ci --ignore-scripts --include=dev --include=optional',
    );
    expect(await setup()).toEqual({ code: 0, stderr: '' });
    expect(await npmCalls()).toBe(1);
  });

  it('keeps the cache of npm in the checkout where its user has no home', async () => {
    await fakeNpm('echo "$npm_config_cache" > npm-cache');
    // Nobody can make a folder below a file, not even root.
    const nowhere = join(root, 'package.json/home');
    for (const more of [{ HOME: nowhere }, { HOME: root, npm_config_cache: nowhere }]) {
      await rm(join(root, 'node_modules'), { recursive: true, force: true });
      expect((await start(undefined, more).ended).code).toBe(0);
      expect(await readFile(join(root, 'npm-cache'), 'utf8')).toBe(`${join(root, '.cache/npm')}\n`);
    }
    await rm(join(root, 'node_modules'), { recursive: true });
    await start(undefined, { HOME: root }).ended;
    expect(await readFile(join(root, 'npm-cache'), 'utf8')).toBe('\n');
  });

  it('installs again when the lock file changed', async () => {
    await setup();
    await lockVersion('1.0.1');
    expect((await setup()).stderr).toContain('since they changed');
    expect(await npmCalls()).toBe(2);
  });

  it('installs again after an install that was interrupted', async () => {
    await fakeNpm('mkdir -p node_modules/half; exit 1');
    expect((await setup()).code).toBe(1);
    await fakeNpm('');
    expect((await setup()).code).toBe(0);
    expect(existsSync(join(root, 'node_modules/half'))).toBe(false);
  });

  it('installs again when a dependency is gone', async () => {
    await setup();
    await rm(join(root, 'node_modules/one'), { recursive: true });
    await setup();
    expect(await npmCalls()).toBe(2);
  });

  it('takes over what npm install brought, if it is what the lock file says', async () => {
    await setup();
    await rm(join(root, 'node_modules/.setup-stamp'));
    const record = { packages: { 'node_modules/one': { version: '1.0.0' } } };
    await write('node_modules/.package-lock.json', JSON.stringify(record));
    expect(await setup()).toEqual({ code: 0, stderr: '' });
    await lockVersion('1.0.1');
    await setup();
    expect(await npmCalls()).toBe(2);
  });

  it('builds again when a source changed', async () => {
    await setup();
    await write('src/a.ts', 'export const a: number = 3;\n');
    await setup();
    expect(await readFile(join(root, 'dist/src/a.js'), 'utf8')).toContain('a = 3');
  });

  it('leaves no output of a deleted source behind', async () => {
    await setup();
    await rm(join(root, 'src/b.ts'));
    expect((await setup()).code).toBe(0);
    expect(existsSync(join(root, 'dist/src/b.js'))).toBe(false);
    expect(existsSync(join(root, 'dist/src/a.js'))).toBe(true);
  });

  it('shows what does not compile, fails, and tries again the next time', async () => {
    await write('src/a.ts', 'export const a: number = "text";\n');
    const broken = await setup();
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/src\/a\.ts.*TS2322.*do not compile/s);
    expect((await setup()).code).toBe(1);
    await write('src/a.ts', 'export const a: number = 1;\n');
    expect((await setup()).code).toBe(0);
  });

  it('is done once when two start at the same time', async () => {
    await fakeNpm('while [ ! -e go ]; do sleep 0.1; done');
    const both = [start(), start()];
    await until(() => both.some(({ isWaiting }) => isWaiting()));
    await write('go', '');
    for (const { ended } of both) expect((await ended).code).toBe(0);
    expect(both.filter(({ isWaiting }) => isWaiting())).toHaveLength(1);
    expect(await npmCalls()).toBe(1);
  });

  it('does not wait for a setup that died', async () => {
    await mkdir(join(root, '.cache'));
    await write('.cache/setup.lock', String(2 ** 22 + 1));
    expect((await setup()).code).toBe(0);
    await rm(join(root, 'dist'), { recursive: true });
    await write('.cache/setup.lock', String(process.pid));
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(join(root, '.cache/setup.lock'), longAgo, longAgo);
    expect((await setup()).code).toBe(0);
    await expect(stat(join(root, '.cache/setup.lock'))).rejects.toThrow();
  });

  it('ends on a signal only after npm has, and leaves no lock', async () => {
    await fakeNpm(
      'trap "sleep 0.5; echo stopped >> npm-calls; exit 1" TERM; touch started; while :; do sleep 0.1; done',
    );
    const { child, ended } = start();
    await until(() => existsSync(join(root, 'started')));
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    expect(await readFile(join(root, 'npm-calls'), 'utf8')).toContain('stopped');
    expect(existsSync(join(root, '.cache/setup.lock'))).toBe(false);
  });

  it('waits for the npm of a setup that was killed', async () => {
    await fakeNpm('touch started; while [ ! -e go ]; do sleep 0.1; done; echo done >> npm-calls; exit 0');
    const { child } = start();
    const lock = join(root, '.cache/setup.lock');
    // A moment after npm was started, its name is in the lock.
    await until(() => existsSync(join(root, 'started')) && /^\d+ \d+$/.test(readFileSync(lock, 'utf8')));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const calls = await npmCalls();
    await fakeNpm('');
    const second = start();
    await until(second.isWaiting);
    // Longer than it takes to look again.
    await new Promise((done) => setTimeout(done, 500));
    expect(await npmCalls()).toBe(calls);
    await write('go', '');
    expect((await second.ended).code).toBe(0);
    expect(await npmCalls()).toBe(calls + 2);
  });

  it('starts from nothing when what an interrupted npm left is in the way', async () => {
    await fakeNpm('if [ -e node_modules/left ]; then echo "npm error code ENOTEMPTY" >&2; exit 1; fi');
    await mkdir(join(root, 'node_modules/left'), { recursive: true });
    expect((await setup()).code).toBe(0);
    expect(await npmCalls()).toBe(2);
  });

  it('puts the Node that came along where npm scripts look first, if npm did not', async () => {
    const binary = `node_modules/node-${process.platform}-${process.arch}/bin`;
    await fakeNpm('');
    const npm = join(root, 'bin/npm');
    const bring = `\nmkdir -p ${binary} && ln -s '${process.execPath}' ${binary}/node`;
    await writeFile(npm, (await readFile(npm, 'utf8')) + bring, { mode: 0o755 });
    expect((await setup()).code).toBe(0);
    expect(existsSync(join(root, 'node_modules/.bin/node'))).toBe(true);
  });

  it('gives way to the Node of the host when the one that comes along cannot run', async () => {
    await fakeNpm('');
    await setup();
    await rm(join(root, 'node_modules/.setup-stamp-node'), { force: true });
    const node = join(root, 'node_modules/.bin/node');
    await mkdir(dirname(node), { recursive: true });
    await writeFile(node, '#!/bin/sh\nexit 127', { mode: 0o755 });
    expect((await setup()).code).toBe(0);
    expect(existsSync(node)).toBe(false);
  });
});

describe('setup says what to do', () => {
  it('when npm is missing', async () => {
    const { code, stderr } = await setup(join(root, 'nowhere'));
    expect(code).toBe(1);
    expect(stderr).toContain('npm is missing: install Node 24 together with npm');
  });

  it.each([
    ['npm error code ENOTFOUND', 'registry cannot be reached'],
    ['npm error code ENOSPC', 'the disk is full'],
    ['npm error code EACCES', 'check its owner and permissions'],
    ['npm error code EINTEGRITY', 'npm cache clean --force'],
    ['npm error code EUSAGE', 'run "npm install" once'],
    ['npm error something else', 'npm error something else'],
  ])('when npm fails with "%s"', async (output, advice) => {
    await fakeNpm(`echo '${output}' >&2; exit 1`);
    const { code, stderr } = await setup();
    expect(code).toBe(1);
    expect(stderr).toContain(advice);
    expect(stderr.trim().split('\n')).toHaveLength(2);
    expect(await readFile(join(root, '.cache/setup.log'), 'utf8')).toContain(output);
  });

  it('when the checkout is not whole', async () => {
    await rm(join(root, 'package-lock.json'));
    expect((await setup()).stderr).toContain('package-lock.json is missing');
  });
});
