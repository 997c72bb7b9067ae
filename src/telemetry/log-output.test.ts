import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { createLogger } from './log.ts';

/** Runs `code` with an `output` on its standard output. */
function run(code: string) {
  const file = fileURLToPath(new URL('log-output.ts', import.meta.url));
  const script = `import { LogOutput } from '${file}'; const output = new LogOutput(1); ${code}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

it('writes every line, in order, also those that came last', async () => {
  const child = run(`
    for (let i = 0; i < 20_000; i++) output.write('line ' + i + '\\n');
    setTimeout(() => { output.write('one more\\n'); process.exit(0); }, 300);`);
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  expect(lines).toEqual([...Array.from({ length: 20_000 }, (_, i) => `line ${i}`), 'one more']);
});

it('lets the process end when its reader has gone', async () => {
  const child = run(
    `process.stdin.once('end', () => { output.write('nobody reads this\\n'); process.exit(3); }).resume();`,
  );
  child.stdout.destroy();
  child.stdin.end();
  expect(await once(child, 'exit')).toEqual([3, null]);
});

it('is one for all loggers of a process, however many gateways have been started in it', () => {
  createLogger('info');
  const before = process.listenerCount('exit');
  createLogger('info');
  expect(process.listenerCount('exit')).toBe(before);
});
