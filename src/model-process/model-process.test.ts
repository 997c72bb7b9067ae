import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { spawnModelProcess } from './model-process.ts';

/** Writes what is no frame, and behind it more good ones than are read at once. */
const PROGRAM = `
import { writeSync } from 'node:fs';
const json = Buffer.from('{"type":"pong"}');
const frame = Buffer.alloc(4 + json.length);
frame.writeUInt32LE(json.length);
json.copy(frame, 4);
const all = Buffer.concat([Buffer.alloc(4, 0xff), ...Array.from({ length: 20_000 }, () => frame)]);
for (let at = 0; at < all.length; )
  try { at += writeSync(3, all, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; }
setInterval(() => {}, 1_000);
`;

it('hears nothing more of a process that has sent nonsense: it is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'qianmen-child-'));
  const program = join(folder, 'nonsense.mjs');
  writeFileSync(program, PROGRAM);
  const heard: string[] = [];
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const child = spawnModelProcess(
    {
      onMessage: ({ type }: { type: string }) => heard.push(type),
      onExit: (detail) => {
        heard.push(detail);
        resolve();
      },
    },
    pathToFileURL(program),
  );
  await gone;
  // Until the system has it ended, and what was on its way would have come.
  const isThere = () => {
    try {
      return process.kill(child.pid!, 0);
    } catch {
      return false;
    }
  };
  while (isThere()) await new Promise((done) => setTimeout(done, 5));
  await new Promise(setImmediate);
  expect(heard).toEqual([expect.stringContaining('the engine process sent nonsense')]);
  rmSync(folder, { recursive: true });
});
