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
import { notOpened } from '../model-file-error.ts';

export interface BuildSource {
  /** For the folder's name. */
  readonly stem: string;
  /** What is built into the same graph has the same. */
  readonly builderVersion: number | string;
  readonly path: string;
  /** When one of them changes, the graph has to be built again. */
  readonly files: readonly string[];
}

/** What a graph was built from. Two of the same text are the same. */
interface Fingerprint {
  readonly builderVersion: number | string;
  readonly path: string;
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    readonly mtimeMs: number;
  }[];
}

interface Manifest<B> {
  readonly source: Fingerprint;
  readonly built: B;
}

export interface Cached<B> {
  readonly folder: string;
  readonly built: B;
}

const MANIFEST_FILE = 'manifest.json';
const BUILDING_PREFIX = '.building-';
/** No build takes this long: what is older was left by a process that died. */
const ABANDONED_AFTER_MS = 3_600_000;

/** Codes of what a folder answers in which nothing may be written. */
const NOT_WRITABLE: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * Folders of graphs that were made of a model's files, each with a manifest that says of what and, as `B`, what came out.
 *
 * Every build gets a folder of its own, named after the paths, sizes and times of its source and the builder's version,
 * made under a temporary name and renamed when whole: a crash at any moment leaves nothing that would be taken for a
 * graph, and processes that build at the same time end with the same folder.
 */
export class BuildCache<B> {
  readonly #source: Fingerprint;
  readonly #folderName: string;
  readonly #cacheDirs: readonly string[];
  readonly #fileSizes: (built: B) => Readonly<Record<string, number>>;

  /**
   * `cacheDirs`: where to look, and of which the first that can be written to is built in. `fileSizes`: the bytes that each file
   * of a whole folder has. Throws ModelFileError when a file cannot be opened.
   */
  constructor(
    source: BuildSource,
    cacheDirs: readonly string[],
    fileSizes: (built: B) => Readonly<Record<string, number>>,
  ) {
    this.#source = fingerprint(source);
    const key = createHash('sha256').update(JSON.stringify(this.#source)).digest('hex').slice(0, 16);
    this.#folderName = `${source.stem}-${key}`;
    this.#cacheDirs = cacheDirs;
    this.#fileSizes = fileSizes;
  }

  find(): Cached<B> | undefined {
    for (const cacheDir of this.#cacheDirs) {
      const cached = this.#read(join(cacheDir, this.#folderName));
      if (cached !== undefined) return cached;
    }
    return undefined;
  }

  /** A folder to build in. Whoever asks for it must `discard` it in the end, published or not. */
  begin(): Building<B> {
    for (const [i, cacheDir] of this.#cacheDirs.entries()) {
      try {
        mkdirSync(cacheDir, { recursive: true });
        const folder = join(cacheDir, BUILDING_PREFIX + randomUUID());
        mkdirSync(folder);
        removeAbandoned(cacheDir);
        return {
          folder,
          publish: (built) => this.#publish(cacheDir, folder, built),
          discard: () => rmSync(folder, { recursive: true, force: true }),
        };
      } catch (error) {
        const isLast = i === this.#cacheDirs.length - 1;
        if (isLast || !NOT_WRITABLE.has((error as NodeJS.ErrnoException).code)) throw error;
      }
    }
    throw new RangeError('there is no folder to keep graphs in');
  }

  /** Moves a finished build to its place, or takes the one that another process put there meanwhile. */
  #publish(cacheDir: string, building: string, built: B): Cached<B> {
    const manifest: Manifest<B> = { source: this.#source, built };
    writeFileSync(join(building, MANIFEST_FILE), JSON.stringify(manifest, null, 2), { flush: true });
    const folder = join(cacheDir, this.#folderName);
    if (this.#read(folder) === undefined) {
      // A folder that is there but not whole was damaged from outside.
      rmSync(folder, { recursive: true, force: true });
      try {
        renameSync(building, folder);
      } catch (error) {
        if (this.#read(folder) === undefined) throw error;
      }
    }
    removeOutdated(cacheDir, folder, this.#source.path);
    return this.#read(folder)!;
  }

  /** Undefined unless the folder holds a whole graph of exactly this source. */
  #read(folder: string): Cached<B> | undefined {
    const manifest = readManifest<B>(folder);
    if (
      manifest?.built === undefined ||
      JSON.stringify(manifest.source) !== JSON.stringify(this.#source) ||
      Object.entries(this.#fileSizes(manifest.built)).some(
        ([name, sizeBytes]) => statSync(join(folder, name), { throwIfNoEntry: false })?.size !== sizeBytes,
      )
    )
      return undefined;
    return { folder, built: manifest.built };
  }
}

export interface Building<B> {
  readonly folder: string;
  publish(built: B): Cached<B>;
  discard(): void;
}

function fingerprint({ builderVersion, path, files }: BuildSource): Fingerprint {
  return {
    builderVersion,
    path: realPathOf(path),
    files: files.map((file) => {
      const realPath = realPathOf(file);
      const { size, mtimeMs } = statSync(realPath);
      return { path: realPath, sizeBytes: size, mtimeMs };
    }),
  };
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw notOpened(path, cause);
  }
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

function readManifest<B>(folder: string): Manifest<B> | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, MANIFEST_FILE), 'utf8')) as Manifest<B>;
  } catch {
    return undefined;
  }
}
