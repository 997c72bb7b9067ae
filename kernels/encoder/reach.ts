import { nodeProto, tensorProto } from '../graph/onnx-messages.ts';
import { bytesField, integerField } from '../graph/protobuf.ts';
import type { EncoderRow } from './feeds.ts';
import type { GraphView } from './graph-view.ts';
import { EncoderSession, type EncoderSessionOptions } from './session.ts';

/** A name that encoder sessions look for first. */
const OUTPUT = 'sentence_embedding';

/**
 * A graph whose vectors are how far each channel of some of its values, [B, S, size] each, goes from zero over a row's tokens: one
 * value after the other.
 */
export function reachGraphOf(view: GraphView, sizes: ReadonlyMap<string, number>): Buffer {
  const axis = 'reach/tokens';
  const before18 = view.opsetVersion < 18;
  const nodes: Buffer[] = [];
  const reaches = [...sizes.keys()].map((name) => {
    const [size, reach] = [`${name}/reach_size`, `${name}/reach`];
    nodes.push(nodeProto('Abs', [name], [size]));
    const attributes = { keepdims: 0, ...(before18 ? { axes: [1] } : {}) };
    nodes.push(nodeProto('ReduceMax', before18 ? [size] : [size, axis], [reach], attributes));
    return reach;
  });
  nodes.push(nodeProto('Concat', reaches, [OUTPUT], { axis: 1 }));
  const axes = tensorProto(axis, 'int64', [1], bytesField(9, new Uint8Array(BigInt64Array.of(1n).buffer)));
  // ValueInfoProto: name 1, type 2 → tensor_type 1 → elem_type 1 (FLOAT), shape 2 → two dims of any size.
  const anySize = bytesField(1, '');
  const tensorType = Buffer.concat([integerField(1, 1), bytesField(2, Buffer.concat([anySize, anySize]))]);
  const output = Buffer.concat([bytesField(1, OUTPUT), bytesField(2, bytesField(1, tensorType))]);
  return view.extended(nodes, before18 ? [] : [axes], output);
}

/**
 * How far the channels of each value go in the rows, as a sum over them, computed by a graph of `reachGraphOf`: what is large in every
 * text shows, not what one text has by chance.
 */
export async function measureReach(
  options: EncoderSessionOptions,
  sizes: ReadonlyMap<string, number>,
  rows: readonly EncoderRow[],
): Promise<ReadonlyMap<string, Float32Array>> {
  const session = await EncoderSession.load({ ...options, readout: { kind: 'vector', pooling: 'max' } });
  try {
    const total = new Float32Array([...sizes.values()].reduce((sum, size) => sum + size, 0));
    for (const row of rows) {
      // Alone, so that padding does not count.
      const [reach] = await session.run([row]);
      for (const [i, value] of reach!.entries()) total[i]! += value;
    }
    let end = 0;
    return new Map(
      [...sizes].map(([name, size]) => {
        end += size;
        return [name, total.subarray(end - size, end)];
      }),
    );
  } finally {
    session.close();
  }
}
