import { createHash, randomUUID } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { DecoderShape } from '../decoder-shape.ts';
import { ModelFileError } from '../model-file-error.ts';
import { BUILDER_VERSION, type BuiltDecoderGraph, buildDecoderGraph } from './decoder-graph.ts';
import { decoderFiles, modelStem, readDecoderSource } from './model-path.ts';

export interface CachedDecoderGraph {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  readonly weightsBytes: number;
  /** Storage types of the file that were changed on the way to 8 bit, such as `Q4_K`: empty when the weights are as in the file. */
  readonly requantised: readonly string[];
}

/** What a graph was built from. Two of the same text are the same. */
interface Source {
  readonly builderVersion: number;
  readonly path: string;
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    readonly mtimeMs: number;
  }[];
}

interface Manifest extends BuiltDecoderGraph {
  readonly source: Source;
}

const GRAPH_FILE = 'decoder.onnx';
const DATA_FILE = `${GRAPH_FILE}.data`;
const MANIFEST_FILE = 'manifest.json';
const BUILDING_PREFIX = '.building-';
/** No build takes this long: what is older was left by a process that died. */
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * The 8-bit graph of a model, a GGUF file or a Hugging Face directory, built on the first call (about a second per
 * 100 MB) and again when a file or the builder changed. Kept in the first of `cacheDirs` that has it or can be written
 * to. Synchronous. Throws ModelFileError when the model is damaged or not supported.
 *
 * Every build gets a folder of its own, named after the paths, sizes and times of its source and the builder's version,
 * made under a temporary name and renamed when whole: a crash at any moment leaves nothing that would be taken for a
 * graph, and processes that build at the same time end with the same folder.
 */
export function ensureDecoderGraph(modelPath: string, ...cacheDirs: readonly string[]): CachedDecoderGraph {
  const source = sourceOf(modelPath);
  const folderName = `${modelStem(modelPath)}-${keyOf(source)}`;
  for (const cacheDir of cacheDirs) {
    const cached = readCached(join(cacheDir, folderName), source);
    if (cached !== undefined) return cached;
  }
  const { cacheDir, building } = newBuildFolder(cacheDirs);
  try {
    const built = buildDecoderGraph({
      source: readDecoderSource(modelPath),
      outputPath: join(building, GRAPH_FILE),
      variant: '8bit',
    });
    const manifest: Manifest = { source, ...built };
    writeFileSync(join(building, MANIFEST_FILE), JSON.stringify(manifest, null, 2), { flush: true });
    const folder = join(cacheDir, folderName);
    const published = publish(building, folder, source);
    removeOutdated(cacheDir, folder, source.path);
    return published;
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

/** Codes of what a folder answers in which nothing may be written. */
const NOT_WRITABLE: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Models often lie where the server must not write. */
function newBuildFolder(cacheDirs: readonly string[]): { cacheDir: string; building: string } {
  for (const [i, cacheDir] of cacheDirs.entries()) {
    try {
      mkdirSync(cacheDir, { recursive: true });
      const building = join(cacheDir, BUILDING_PREFIX + randomUUID());
      mkdirSync(building);
      removeAbandoned(cacheDir);
      return { cacheDir, building };
    } catch (error) {
      const isLast = i === cacheDirs.length - 1;
      if (isLast || !NOT_WRITABLE.has((error as NodeJS.ErrnoException).code)) throw error;
    }
  }
  throw new RangeError('there is no folder to keep graphs in');
}

function sourceOf(modelPath: string): Source {
  return {
    builderVersion: BUILDER_VERSION,
    path: realPathOf(modelPath),
    files: decoderFiles(modelPath).map((file) => {
      const path = realPathOf(file);
      const { size, mtimeMs } = statSync(path);
      return { path, sizeBytes: size, mtimeMs };
    }),
  };
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new ModelFileError(path, 'the file cannot be opened', { cause });
  }
}

function keyOf(source: Source): string {
  return createHash('sha256').update(JSON.stringify(source)).digest('hex').slice(0, 16);
}

/** Undefined unless the folder holds a whole graph of exactly this source. */
function readCached(folder: string, source: Source): CachedDecoderGraph | undefined {
  const manifest = readManifest(folder);
  const graphPath = join(folder, GRAPH_FILE);
  if (
    manifest === undefined ||
    JSON.stringify(manifest.source) !== JSON.stringify(source) ||
    sizeOf(graphPath) !== manifest.graphBytes ||
    sizeOf(join(folder, DATA_FILE)) !== manifest.dataBytes
  )
    return undefined;
  return {
    graphPath,
    shape: manifest.shape,
    weightsBytes: manifest.dataBytes,
    requantised: manifest.requantised,
  };
}

/** Moves a finished build to its place, or takes the one that another process put there meanwhile. */
function publish(building: string, folder: string, source: Source): CachedDecoderGraph {
  if (readCached(folder, source) === undefined) {
    // A folder that is there but not whole was damaged from outside.
    rmSync(folder, { recursive: true, force: true });
    try {
      renameSync(building, folder);
    } catch (error) {
      if (readCached(folder, source) === undefined) throw error;
    }
  }
  return readCached(folder, source)!;
}

function removeAbandoned(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    if (!name.startsWith(BUILDING_PREFIX)) continue;
    const path = join(cacheDir, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED_AFTER_MS)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Graphs of earlier states of the same source. Whoever still has them open keeps them until it closes. */
function removeOutdated(cacheDir: string, current: string, sourcePath: string): void {
  for (const name of readdirSync(cacheDir)) {
    const path = join(cacheDir, name);
    if (path === current || name.startsWith(BUILDING_PREFIX)) continue;
    if (readManifest(path)?.source?.path === sourcePath) rmSync(path, { recursive: true, force: true });
  }
}

function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, MANIFEST_FILE), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
