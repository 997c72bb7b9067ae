import cluster from 'node:cluster';

/**
 * A fault, to be loaded with `--import`: a worker that tells nonsense when it is asked for its metrics, and is told
 * nonsense as soon as it listens.
 */
if (cluster.isWorker) {
  const send = process.send!.bind(process) as (message: object, ...rest: unknown[]) => boolean;
  process.send = (message: { readonly type?: string }, ...rest: unknown[]) => {
    const isNonsense = message.type === 'measured';
    if (message.type === 'listening')
      setImmediate(() => process.emit('message', { type: 'drain-upstream' }, undefined));
    return send(isNonsense ? { ...message, snapshot: null } : message, ...rest);
  };
}
