import type { Worker } from 'node:cluster';

/** What node:cluster says and hears within itself: a connection goes to a worker, and the worker has taken it or will not. */
interface ClusterMessage {
  readonly cmd?: string;
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

/**
 * A connection that was handed to a worker which dies before it has taken it goes to another one. Of itself node:cluster forgets it, and keeps it
 * open: its client would wait for as long as it can. So we say in the dead one's place that it will not take it.
 */
export function handOverAgain({ process: child }: Worker): void {
  const untaken = new Set<number>();
  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  child.send = (...args: unknown[]) => {
    const { cmd, act, seq } = args[0] as ClusterMessage;
    if (cmd === 'NODE_CLUSTER' && act === 'newconn' && seq !== undefined) untaken.add(seq);
    return send(...args);
  };
  child.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) untaken.delete(ack);
  });
  let isForgotten = false;
  child.once('disconnect', () => {
    isForgotten = true;
  });
  // It has ended, and all that it has said has been heard.
  child.once('close', () => {
    // With a connection on its way node:cluster does not notice, and would hand it the next one.
    if (!isForgotten) child.emit('disconnect');
    for (const ack of untaken) child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
  });
}
