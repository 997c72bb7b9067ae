import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createEngineBackend,
  type EngineBackend,
  type EngineBackendOptions,
} from '../../src/engine/engine-backend.ts';
import { spawnModelProcess } from '../../src/model-process/model-process.ts';
import { MODELS_DIR, realModelPath } from '../model-file.ts';
import { collect, completion, textOf } from './requests.ts';

const PROGRAM = new URL('./scripted-engine.ts', import.meta.url);

let engine: EngineBackend;

function scripted(changes: Partial<EngineBackendOptions> = {}): EngineBackend {
  return createEngineBackend({
    name: 'scripted',
    modelPath: '/models/scripted.gguf',
    cacheDir: '/models',
    emit: () => {},
    spawn: (events) => spawnModelProcess(events, PROGRAM),
    times: { pingMs: 50, silenceMs: 400, firstRestartMs: 20, longestRestartMs: 400, shutdownMs: 200 },
    ...changes,
  });
}

beforeEach(async () => {
  engine = scripted();
  await engine.ready;
});

afterEach(() => engine.close());

function run(text: string) {
  return engine.run(completion(text), { model: 'x', signal: new AbortController().signal });
}

async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms`);
    await delay(5);
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function served(): Promise<void> {
  await until(() => engine.health().state === 'ready');
  expect(engine.health()).toMatchObject({ inFlight: 0, queued: 0 });
  expect(textOf(await collect(await run('ok')))).toBe('a');
}

test.each([
  ['crash', 'out of luck'],
  ['nonsense', 'sent nonsense'],
])(
  'after %s the request may go elsewhere, the reason is kept, and the next process serves',
  async (way, reason) => {
    const before = engine.info()!.pid;
    await expect(run(way)).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
    expect(engine.health().detail).toContain(reason);
    await served();
    expect(engine.info()!.pid).not.toBe(before);
  },
);

test('a process that is stopped is noticed, killed and replaced', async () => {
  const stopped = engine.info()!.pid;
  process.kill(stopped, 'SIGSTOP');
  await expect(run('ok')).rejects.toMatchObject({ code: 'model_unavailable' });
  expect(engine.health().detail).toContain('said nothing');
  await served();
  expect(alive(stopped)).toBe(false);
});

test('a gateway that was busy for long does not blame the process', async () => {
  const { pid } = engine.info()!;
  const untilMs = performance.now() + 1_000;
  while (performance.now() < untilMs);
  await delay(100);
  expect(engine.info()!.pid).toBe(pid);
  await served();
});

test('a process that takes more memory than it may is ended, with the numbers, and replaced', async () => {
  await engine.close();
  // Taking memory keeps it busy: it is not to be taken for one that hangs.
  const times = { firstRestartMs: 20, shutdownMs: 200 };
  engine = scripted({ memoryLimitBytes: () => 400 * 2 ** 20, times });
  await engine.ready;
  const { pid } = engine.info()!;
  await expect(run('eat')).rejects.toMatchObject({ code: 'model_unavailable', retryable: true });
  expect(engine.health().detail).toMatch(/took \d+ MiB of memory and may take 400.*memoryLimitBytes/);
  expect(alive(pid)).toBe(false);
  await served();
});

test('a model that crashes its process while it loads is tried ever more rarely, and no other is touched', async () => {
  let starts = 0;
  const poisoned = scripted({
    modelPath: '/models/segfault.gguf',
    emit: (event) => {
      if (event.type === 'engine-state-changed' && event.state === 'starting') starts++;
    },
  });
  try {
    await expect(poisoned.ready).rejects.toThrow('SIGSEGV');
    await until(() => starts >= 6);
    // By now it waits for 20 + 40 + 80 + 160 + 320 ms; it would be at dozens if it did not.
    const before = starts;
    const { pid } = engine.info()!;
    await served();
    expect(engine.info()!.pid).toBe(pid);
    await delay(300);
    expect(starts - before).toBeLessThanOrEqual(1);
    expect(poisoned.health()).toMatchObject({ inFlight: 0, retryAfterMs: expect.any(Number) });
  } finally {
    await poisoned.close();
  }
});

test('the process gets nothing of the environment, so no secrets', async () => {
  await expect(run('environment')).rejects.toMatchObject({ code: 'model_unavailable' });
  expect(engine.health().detail).toMatch(/: \["GLIBC_TUNABLES"\]$/);
});

describe('closing', () => {
  test('ends the process', async () => {
    const { pid } = engine.info()!;
    await engine.close();
    expect(alive(pid)).toBe(false);
  });

  test('ends a process that does not listen, too', async () => {
    const { pid } = engine.info()!;
    process.kill(pid, 'SIGSTOP');
    await engine.close();
    expect(alive(pid)).toBe(false);
  });
});

test.each([
  ['idle', []],
  ['in the middle of a reply', [realModelPath(), MODELS_DIR]],
])('the process ends when the gateway is killed: %s', async (_, model) => {
  const gateway: ChildProcess = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('./engine-owner.ts', import.meta.url)),
      ...model,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [output] = (await once(gateway.stdout!, 'data')) as [Buffer];
  const pid = Number(output.toString());
  expect(alive(pid)).toBe(true);
  gateway.kill('SIGKILL');
  await until(() => !alive(pid));
});
