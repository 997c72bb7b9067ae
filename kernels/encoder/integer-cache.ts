import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BuildCache } from '../graph/build-cache.ts';
import { ortVersion } from '../ort/api.ts';
import type { EncoderRow } from './feeds.ts';
import type { EncoderSessionOptions } from './session.ts';

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const PROGRAM = new URL(`./integer-build-process.${EXTENSION}`, import.meta.url);

/** To be raised with every change that makes other graphs of the same file. */
const BUILDER_VERSION = 4;

const GRAPH_FILE = 'encoder.onnx';

/** Some seconds per 100 MB. */
const BUILD_TIMEOUT_MS = 300_000;

/** What the building process is told. */
export interface IntegerBuild {
  readonly session: EncoderSessionOptions;
  readonly samples: readonly EncoderRow[];
  readonly outputPath: string;
}

/** What it prints. */
export interface BuiltIntegerGraph {
  /**
   * The least cosine to the vectors of the file itself, over the samples. Undefined: the file has no places for
   * integers.
   */
  readonly cosine?: number;
  /** 0: there is no graph, or none that is close enough. */
  readonly graphBytes: number;
}

export interface IntegerGraphOptions {
  readonly session: EncoderSessionOptions;
  /** Ordinary texts, on which the graph is compared with the one that it was made from. */
  readonly samples: readonly EncoderRow[];
  readonly cacheDirs: readonly string[];
}

/**
 * The path of a graph that computes an encoder's vectors, largely in 8-bit integers (see integer-graph.ts), nearly as the
 * file does. Made on the first call, and again when the file, the builder, ONNX Runtime or the processor is another one:
 * kernels differ. Undefined where the file has no places for integers or the vectors would not be close enough.
 * Throws when the graph cannot be made or kept.
 */
export async function ensureIntegerGraph(options: IntegerGraphOptions): Promise<string | undefined> {
  const { graphPath } = options.session;
  const cache = new BuildCache<BuiltIntegerGraph>(
    {
      stem: basename(dirname(graphPath)),
      builderVersion: [BUILDER_VERSION, ortVersion(), cpus()[0]?.model].join('/'),
      path: graphPath,
      files: [graphPath],
    },
    options.cacheDirs,
    ({ graphBytes }): Readonly<Record<string, number>> =>
      graphBytes === 0 ? {} : { [GRAPH_FILE]: graphBytes },
  );
  const { folder, built } = cache.find() ?? (await build(cache, options));
  return built.graphBytes === 0 ? undefined : join(folder, GRAPH_FILE);
}

/** In a process of its own: it takes several times the memory that the graph does, which would never be given back. */
async function build(cache: BuildCache<BuiltIntegerGraph>, { session, samples }: IntegerGraphOptions) {
  const building = cache.begin();
  try {
    const task: IntegerBuild = {
      session,
      samples: samples.map(({ ids }) => ({ ids: Array.from(ids) })),
      outputPath: join(building.folder, GRAPH_FILE),
    };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', fileURLToPath(PROGRAM), JSON.stringify(task)],
      { timeout: BUILD_TIMEOUT_MS, killSignal: 'SIGKILL', windowsHide: true },
    );
    return building.publish(JSON.parse(stdout) as BuiltIntegerGraph);
  } finally {
    building.discard();
  }
}
