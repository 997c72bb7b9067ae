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
import { basename, join } from 'node:path';
import type { DecoderShape } from '../decoder-shape.ts';
import { readGguf } from '../gguf/reader.ts';
import { ModelFileError } from '../model-file-error.ts';
import { BUILDER_VERSION, type BuiltDecoderGraph, buildDecoderGraph } from './decoder-graph.ts';
import { ggufSource } from './gguf-source.ts';

export interface CachedDecoderGraph {
  readonly graphPath: string;
  readonly shape: DecoderShape;
  /** Quantisations of the file that were changed on the way to 8 bit, such as `Q4_K`: empty when the weights are as in the file. */
  readonly requantised: readonly string[];
}

interface Manifest extends BuiltDecoderGraph {
  readonly builderVersion: number;
  readonly sourcePath: string;
  readonly sourceBytes: number;
  readonly sourceMtimeMs: number;
}

const GRAPH_FILE = 'decoder.onnx';
const DATA_FILE = `${GRAPH_FILE}.data`;
const MANIFEST_FILE = 'manifest.json';
const BUILDING_PREFIX = '.building-';
/** No build takes this long: what is older was left by a process that died. */
const ABANDONED_AFTER_MS = 3_600_000;

/**
 * The 8-bit graph of a GGUF file, built on the first call (about a second per 100 MB) and again when the file or the
 * builder changed. Synchronous. Throws ModelFileError when the file is damaged or not supported.
 *
 * Every build gets a folder of its own, named after the source's path, size and time and the builder's version, made
 * under a temporary name and renamed when whole: a crash at any moment leaves nothing that would be taken for a graph,
 * and processes that build at the same time end with the same folder.
 */
export function ensureDecoderGraph(ggufPath: string, cacheDir: string): CachedDecoderGraph {
  const source = sourceOf(ggufPath);
  const stem = basename(ggufPath).replace(/\.gguf$/i, '');
  const folder = join(cacheDir, `${stem}-${keyOf(source)}`);
  const cached = readCached(folder, source);
  if (cached !== undefined) return cached;

  mkdirSync(cacheDir, { recursive: true });
  removeAbandoned(cacheDir);
  const building = join(cacheDir, BUILDING_PREFIX + randomUUID());
  mkdirSync(building);
  try {
    const built = buildDecoderGraph({
      source: ggufSource(readGguf(ggufPath)),
      outputPath: join(building, GRAPH_FILE),
      variant: '8bit',
    });
    const manifest: Manifest = { ...source, ...built };
    writeFileSync(join(building, MANIFEST_FILE), JSON.stringify(manifest, null, 2), { flush: true });
    const published = publish(building, folder, source);
    removeOutdated(cacheDir, folder, source.sourcePath);
    return published;
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

type Source = Pick<Manifest, 'builderVersion' | 'sourcePath' | 'sourceBytes' | 'sourceMtimeMs'>;

function sourceOf(ggufPath: string): Source {
  try {
    const sourcePath = realpathSync(ggufPath);
    const stat = statSync(sourcePath);
    return {
      builderVersion: BUILDER_VERSION,
      sourcePath,
      sourceBytes: stat.size,
      sourceMtimeMs: stat.mtimeMs,
    };
  } catch (cause) {
    throw new ModelFileError(ggufPath, 'the file cannot be opened', { cause });
  }
}

function keyOf(source: Source): string {
  const { builderVersion, sourcePath, sourceBytes, sourceMtimeMs } = source;
  const text = JSON.stringify([builderVersion, sourcePath, sourceBytes, sourceMtimeMs]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Undefined unless the folder holds a whole graph of exactly this source. */
function readCached(folder: string, source: Source): CachedDecoderGraph | undefined {
  const manifest = readManifest(folder);
  const graphPath = join(folder, GRAPH_FILE);
  if (
    manifest === undefined ||
    manifest.builderVersion !== source.builderVersion ||
    manifest.sourcePath !== source.sourcePath ||
    manifest.sourceBytes !== source.sourceBytes ||
    manifest.sourceMtimeMs !== source.sourceMtimeMs ||
    sizeOf(graphPath) !== manifest.graphBytes ||
    sizeOf(join(folder, DATA_FILE)) !== manifest.dataBytes
  )
    return undefined;
  return { graphPath, shape: manifest.shape, requantised: manifest.requantised };
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
    if (readManifest(path)?.sourcePath === sourcePath) rmSync(path, { recursive: true, force: true });
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
