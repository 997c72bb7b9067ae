import type { Relay, RelaySink } from '../../core/backend.ts';

/** Bytes that may wait for their reader. */
const QUEUE_BYTES = 64 * 1024;

/** Turns the push of `pump` into a pull, with the upstream waiting while nobody pulls. */
export async function* pumpedBytes(source: Pick<Relay, 'pump'>): AsyncGenerator<Buffer, void, void> {
  let queue: Buffer[] = [];
  let queuedBytes = 0;
  let ended = false;
  let failure: unknown;
  let wake = () => {};
  let drain = Promise.withResolvers<void>();
  const sink: RelaySink = {
    write(chunk) {
      queue.push(chunk as Buffer);
      queuedBytes += chunk.length;
      wake();
      return queuedBytes < QUEUE_BYTES;
    },
    drained: () => drain.promise,
  };
  source.pump(sink).then(
    () => {
      ended = true;
      wake();
    },
    (error: unknown) => {
      ended = true;
      failure = error;
      wake();
    },
  );
  for (;;) {
    const taken = queue;
    queue = [];
    queuedBytes = 0;
    drain.resolve();
    drain = Promise.withResolvers<void>();
    yield* taken;
    if (queue.length > 0) continue;
    if (ended) break;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  if (failure !== undefined) throw failure;
}
