import type { Worker } from 'node:cluster';

/** What node:cluster says and hears within itself: a connection goes to a worker, and the worker has taken it or will not. */
interface ClusterMessage {
  readonly cmd?: string;
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

interface Connection {
  close(): void;
}

const listening = new Set<Worker>();

/**
 * A connection that was handed to a worker which dies before it has taken it goes to another one, or is closed where there is none. Of itself
 * node:cluster forgets it, and keeps it open: its client would wait for as long as it can. So we say in the dead one's place that it will not take it.
 */
export function handOverAgain(worker: Worker): void {
  const { process: child } = worker;
  const untaken = new Map<number, Connection>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  child.send = (...args: unknown[]) => {
    const [{ cmd, act, seq }, connection] = args as [ClusterMessage, Connection];
    if (cmd === 'NODE_CLUSTER' && act === 'newconn' && seq !== undefined) untaken.set(seq, connection);
    return send(...args);
  };
  child.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) untaken.delete(ack);
  });
  worker.once('listening', () => listening.add(worker));
  let isForgotten = false;
  child.once('disconnect', () => {
    isForgotten = true;
  });
  // It has ended, and all that it has said has been heard.
  child.once('close', () => {
    listening.delete(worker);
    // With a connection on its way node:cluster does not notice, and would hand it the next one.
    if (!isForgotten) child.emit('disconnect');
    for (const [ack, connection] of untaken)
      if (listening.size === 0) connection.close();
      else child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
  });
}
