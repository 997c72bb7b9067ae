import type { Socket } from 'node:net';

/**
 * A server that does not want a long request answers before it has read all of it, and closes. What is still being
 * written then fails, and Node would destroy the socket with the answer unread in it. So a failure of what goes out
 * in pieces, as long requests do, is told only after another turn of the event loop: what has come is read first.
 */
export function hearLastWords(socket: Socket): void {
  const writev = socket._writev;
  if (writev === undefined) return;
  socket._writev = (pieces, callback) => {
    writev.call(socket, pieces, (error) => {
      if (error) setImmediate(() => setImmediate(callback, error));
      else callback();
    });
  };
}
