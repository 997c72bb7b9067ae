import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A network of its own, joined to this one by a cable that can be cut: what is sent is lost then, and nobody is told. */
export interface NetworkNamespace {
  /** Of processes inside. */
  readonly address: string;
  /** Starts a Node program inside. Resolves with the first line that it prints. */
  spawnNode(args: readonly string[]): Promise<{ readonly child: ChildProcess; readonly line: string }>;
  cut(): void;
  mend(): void;
  /** Ends its processes. */
  close(): Promise<void>;
}

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Why there can be none; undefined: there can. Needs Linux, root and iproute2. */
export function namespaceObstacle(): string | undefined {
  const name = `qm-try-${process.pid}`;
  try {
    ip('netns', 'add', name);
    try {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`);
      ip('link', 'del', name);
    } finally {
      ip('netns', 'del', name);
    }
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}

let made = 0;

export function makeNamespace(): NetworkNamespace {
  made += 1;
  const name = `qm-${process.pid}-${made}`;
  const [outside, inside] = [`${name}o`, `${name}i`];
  // Of RFC 2544, for tests: nobody else's.
  const host = (n: number) => `198.18.${process.pid % 256}.${4 * (made % 64) + n}`;
  ip('netns', 'add', name);
  ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
  ip('link', 'set', inside, 'netns', name);
  ip('addr', 'add', `${host(1)}/30`, 'dev', outside);
  ip('link', 'set', outside, 'up');
  const within = (...args: string[]) => ip('-n', name, ...args);
  within('addr', 'add', `${host(2)}/30`, 'dev', inside);
  within('link', 'set', inside, 'up');
  const children: ChildProcess[] = [];
  return {
    address: host(2),
    async spawnNode(args) {
      const child = spawn('ip', ['netns', 'exec', name, process.execPath, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      return { child, line };
    },
    cut: () => within('link', 'set', inside, 'down'),
    mend: () => within('link', 'set', inside, 'up'),
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      ip('link', 'del', outside);
      ip('netns', 'del', name);
    },
  };
}
