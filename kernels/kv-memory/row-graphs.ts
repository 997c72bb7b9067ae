import { OnnxGraph } from '../graph/onnx-graph.ts';
import type { DeviceElement } from '../ort/device-memory.ts';

/**
 * Graphs that move rows between buffers of a device, which itself offers only copies of whole buffers. A buffer is seen as
 * [rows × columns]; every graph does the same to `buffers` of them, whose inputs and outputs end in a number.
 */

/** Rows `from_rows` [N] of `from.i` go to the rows `to_rows` [N × 1] of `to.i`; `done.i` is to be bound to the same memory as that. */
export function copyRowsGraph(buffers: number, columns: number, element: DeviceElement): Uint8Array {
  const graph = new OnnxGraph();
  graph.input('from_rows', 'int32', ['N']);
  const targets = targetRows(graph, columns);
  for (let i = 0; i < buffers; i++) {
    graph.input(`from.${i}`, element, ['F', columns]);
    graph.input(`to.${i}`, element, ['T', columns]);
    graph.output(`done.${i}`, element, ['T', columns]);
    const moved = graph.node('Gather', [`from.${i}`, 'from_rows'], [`moved.${i}`], { axis: 0 });
    graph.node('ScatterElements', [`to.${i}`, targets, moved], [`done.${i}`], { axis: 0 });
  }
  return graph.serialise();
}

/** Rows `from_rows` [N] of every `from.i` become `packed` [buffers·N × columns], float32. */
export function readRowsGraph(buffers: number, columns: number, element: DeviceElement): Uint8Array {
  const graph = new OnnxGraph();
  graph.input('from_rows', 'int32', ['N']);
  graph.output('packed', 'float32', ['M', columns]);
  const parts = Array.from({ length: buffers }, (_, i) => {
    graph.input(`from.${i}`, element, ['F', columns]);
    return graph.node('Gather', [`from.${i}`, 'from_rows'], [`rows.${i}`], { axis: 0 });
  });
  if (element === 'float32') graph.node('Concat', parts, ['packed'], { axis: 0 });
  else graph.node('Cast', [graph.node('Concat', parts, ['stacked'], { axis: 0 })], ['packed'], { to: 1 });
  return graph.serialise();
}

/** `packed` [buffers × N × columns], float32, goes to the rows `to_rows` [N × 1] of every `to.i`, in place as `done.i`. */
export function writeRowsGraph(buffers: number, columns: number, element: DeviceElement): Uint8Array {
  const graph = new OnnxGraph();
  graph.input('packed', 'float32', [buffers, 'N', columns]);
  const targets = targetRows(graph, columns);
  const packed =
    element === 'float32' ? 'packed' : graph.node('Cast', ['packed'], ['packed.half'], { to: 10 });
  graph.int64('row_shape', [-1, columns]);
  for (let i = 0; i < buffers; i++) {
    graph.input(`to.${i}`, element, ['T', columns]);
    graph.output(`done.${i}`, element, ['T', columns]);
    graph.int64(`index.${i}`, [i]);
    const part = graph.node('Gather', [packed, `index.${i}`], [`part.${i}`], { axis: 0 });
    const rows = graph.node('Reshape', [part, 'row_shape'], [`rows.${i}`]);
    graph.node('ScatterElements', [`to.${i}`, targets, rows], [`done.${i}`], { axis: 0 });
  }
  return graph.serialise();
}

function targetRows(graph: OnnxGraph, columns: number): string {
  graph.input('to_rows', 'int32', ['N', 1]);
  graph.int64('row_wide', [1, columns]);
  return graph.node('Expand', ['to_rows', 'row_wide'], ['targets']);
}
