import type { Socket } from 'node:net';
import { bytesRead, readBuffer } from '../core/read-buffer.ts';

/**
 * Has a connection of a server read into the one buffer for all. For connections that are opened Node has an option for it, `onread`; for those
 * that are accepted it has not, though it goes by the same fields. Where they are not found the connection is read as any other.
 *
 * @param read Has to copy what it wants to keep.
 * @param room Asked after each read: where the next one goes to instead.
 * @returns Ends it: what comes then comes as `data` of the socket, as ever.
 */
export function readShared(
  socket: Socket,
  read: (bytes: Buffer) => void,
  room: () => Buffer | undefined,
): () => void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<Handle> | null };
  const buffer = fieldOf(socket, 'kBuffer');
  const callback = fieldOf(socket, 'kBufferCb');
  const generator = fieldOf(socket, 'kBufferGen');
  if (
    buffer === undefined ||
    callback === undefined ||
    generator === undefined ||
    handle?.useUserBuffer === undefined
  ) {
    socket.on('data', read);
    return () => socket.off('data', read);
  }
  let isShared = true;
  let given: Buffer | undefined;
  Reflect.set(socket, buffer, readBuffer);
  Reflect.set(socket, generator, (): Buffer | undefined => {
    const before = given;
    given = isShared ? room() : undefined;
    return given ?? (before && readBuffer);
  });
  Reflect.set(socket, callback, (sizeBytes: number): boolean => {
    const bytes = given?.subarray(0, sizeBytes) ?? bytesRead(sizeBytes);
    if (!isShared) return socket.push(Buffer.from(bytes));
    read(bytes);
    return true;
  });
  handle.useUserBuffer(readBuffer);
  return () => {
    isShared = false;
  };
}

interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}

function fieldOf(socket: Socket, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(socket).find(({ description }) => description === name);
}
