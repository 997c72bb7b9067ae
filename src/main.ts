#!/usr/bin/env node
/** The entry. It imports nothing native before it knows that this Node can load it: older ones crash instead of complaining. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `qianmen needs Node 22.19 or newer; this is ${process.versions.node}. \`npm start\` installs and uses a fitting one.\n`,
  );
  process.exit(1);
}
// The first process of a container is ended by no signal that it does not handle, and may be fetching a model for minutes.
if (process.pid === 1)
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, (_: NodeJS.Signals, number: number) => process.exit(128 + number));
const { run } = await import('./cli/run.ts');
await run(process.argv, process.env);

export {};
