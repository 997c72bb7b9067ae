/** Makes the graph that its argument, an `IntegerBuild`, describes, and prints a `BuiltIntegerGraph`. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { OrtSession } from '../ort/session.ts';
import type { EncoderRow } from './feeds.ts';
import { GraphView } from './graph-view.ts';
import type { BuiltIntegerGraph, IntegerBuild } from './integer-cache.ts';
import { integerGraphOf, integerPlaces, valuesWithOutliers } from './integer-graph.ts';
import { measureReach, reachGraphOf } from './reach.ts';
import { EncoderSession, type EncoderSessionOptions } from './session.ts';

/**
 * The least cosine between each sample's vector as the file has it and as computed in integers; below it the file is
 * used as it is.
 */
const LEAST_COSINE = 0.999;

async function build({ session, samples, outputPath }: IntegerBuild): Promise<BuiltIntegerGraph> {
  const view = new GraphView(optimised(session.graphPath, outputPath));
  rmSync(outputPath);
  const places = integerPlaces(view);
  if (places.length === 0) return { graphBytes: 0 };
  const values = valuesWithOutliers(places);
  writeFileSync(outputPath, reachGraphOf(view, values));
  const reach = await measureReach({ ...session, graphPath: outputPath }, values, samples);
  const graph = integerGraphOf(view, places, reach);
  writeFileSync(outputPath, graph, { flush: true });
  const expected = await vectors(session, samples);
  const found = await vectors({ ...session, graphPath: outputPath }, samples);
  const cosine = Math.min(...expected.map((vector, i) => cosineOf(vector, found[i]!)));
  if (cosine >= LEAST_COSINE) return { cosine, graphBytes: graph.length };
  rmSync(outputPath);
  return { cosine, graphBytes: 0 };
}

/** As ONNX Runtime would compute it: constants folded, norms fused, weights inline. */
function optimised(graphPath: string, optimisedPath: string): Buffer {
  new OrtSession(graphPath, { threads: 1, spinning: false, optimisedPath }).close();
  return readFileSync(optimisedPath);
}

async function vectors(
  options: EncoderSessionOptions,
  samples: readonly EncoderRow[],
): Promise<Float32Array[]> {
  const session = await EncoderSession.load(options);
  try {
    return await session.run(samples);
  } finally {
    session.close();
  }
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

const built = await build(JSON.parse(process.argv[2]!) as IntegerBuild);
process.stdout.write(JSON.stringify(built), () => process.exit(0));
