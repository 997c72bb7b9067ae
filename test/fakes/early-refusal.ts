/**
 * A fake server that refuses a request once it has read its head, and resets the connection with the rest of it unread. A process of
 * its own, as that may happen in the middle of a write.
 */
import { type AddressInfo, createServer } from 'node:net';

const BODY = '{"error":{"message":"at most 1 MB"}}';

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', (bytes) => {
    socket.pause();
    const status = bytes.toString('latin1', 0, 3) === 'GET' ? '404 Not Found' : '413 Payload Too Large';
    socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
      () => socket.resetAndDestroy(),
    );
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.once('disconnect', () => process.exit());
