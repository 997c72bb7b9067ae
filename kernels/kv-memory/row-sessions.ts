import type { DeviceElement } from '../ort/device-memory.ts';
import { OrtSession, type SessionOptions } from '../ort/session.ts';
import { copyRowsGraph, readRowsGraph, writeRowsGraph } from './row-graphs.ts';

/** The graphs that move rows of all buffers, loaded: on the device, from it to the host, and back. */
export interface RowSessions {
  readonly copy: OrtSession;
  readonly read: OrtSession;
  readonly write: OrtSession;
}

/** @throws Error of ONNX Runtime; then none is loaded */
export function loadRowSessions(
  buffers: number,
  headDim: number,
  element: DeviceElement,
  options: SessionOptions,
): RowSessions {
  const loaded: OrtSession[] = [];
  const load = (graph: Uint8Array): OrtSession => {
    const session = new OrtSession(graph, options);
    loaded.push(session);
    return session;
  };
  try {
    return {
      copy: load(copyRowsGraph(buffers, headDim, element)),
      read: load(readRowsGraph(buffers, headDim, element)),
      write: load(writeRowsGraph(buffers, headDim, element)),
    };
  } catch (error) {
    for (const session of loaded) session.close();
    throw error;
  }
}
