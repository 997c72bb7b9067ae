import { type FileHandle, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { onDisk } from './disk.ts';

/** What the part file belongs to. A download goes on only while all of it still holds. */
export interface PartMark {
  readonly origin: string;
  readonly etag: string;
}

export async function openPart(path: string, start: number): Promise<FileHandle> {
  return await onDisk(path, async () => {
    if (start === 0) return await open(path, 'w');
    const file = await open(path, 'r+');
    await file.truncate(start);
    return file;
  });
}

export async function writeFully(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; )
    done += (await file.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
}

export async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

export async function readMark(partPath: string): Promise<PartMark | undefined> {
  try {
    return JSON.parse(await readFile(`${partPath}.json`, 'utf8')) as PartMark;
  } catch {
    return undefined;
  }
}

export async function writeMark(partPath: string, mark: PartMark | undefined): Promise<void> {
  await onDisk(partPath, async () => {
    if (mark) await writeFile(`${partPath}.json`, JSON.stringify(mark));
    else await rm(`${partPath}.json`, { force: true });
  });
}

/** Removes a part file and its mark, so that the next download starts afresh. */
export async function forget(partPath: string): Promise<void> {
  await rm(partPath, { force: true });
  await rm(`${partPath}.json`, { force: true });
}
