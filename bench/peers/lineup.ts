import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, measure, type Sample, type Target } from './measure.ts';
import { cacheFolder } from './paths.ts';
import type { Peer, Running } from './peer.ts';
import {
  cpuSeconds,
  freePorts,
  processTree,
  requirePinned,
  residentBytes,
  signalAll,
  within,
} from './processes.ts';
import type { Scenario } from './scenarios.ts';

/** How long a gateway may take over its first replies in a scenario before it counts as one that gives none. */
const FIRST_REPLIES_S = 30;

/** A gateway that runs and gave right answers. It sleeps (SIGSTOP) unless it is its turn. */
export interface Entrant {
  readonly peer: Peer;
  readonly version: string;
  readonly running: Running;
  readonly target: Target;
  readonly idleRssBytes: number;
}

export interface Absent {
  readonly name: string;
  readonly reason: string;
}

interface LineUpOptions {
  readonly core: number;
  /** Each peer has to answer these rightly, each for so long. */
  readonly scenarios: readonly Scenario[];
  readonly checkS: number;
  readonly say: (line: string) => void;
}

/** Installs, starts and checks the peers one after another. Who cannot take part is told with the reason. */
export async function lineUp(
  bench: Bench,
  peers: readonly Peer[],
  options: LineUpOptions,
): Promise<{ entrants: Entrant[]; absent: Absent[] }> {
  const entrants: Entrant[] = [];
  const absent: Absent[] = [];
  for (const peer of peers) {
    options.say(`${peer.name}: installing and starting`);
    try {
      entrants.push(await enter(bench, peer, options));
    } catch (error) {
      const reason = (error as Error).message.replaceAll(/\s+/g, ' ').slice(0, 400);
      options.say(`${peer.name}: left out: ${reason}`);
      absent.push({ name: peer.name, reason });
    }
  }
  return { entrants, absent };
}

async function enter(bench: Bench, peer: Peer, options: LineUpOptions): Promise<Entrant> {
  const { core, scenarios, checkS } = options;
  await peer.install();
  const folder = join(cacheFolder, 'run', peer.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [port, sparePort] = (await freePorts(2)) as [number, number];
  const running = await peer.start({ port, sparePort, upstreamUrl: bench.upstream.url, folder, core });
  try {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const idleRssBytes = residentBytes(processTree(running.pid));
    const target: Target = { ...running, pids: processTree(running.pid) };
    requirePinned(target.pids, core);
    // Also warms up what compiles as it runs.
    for (const { name, load } of scenarios) {
      let sample = await measure(bench, target, load(peer), { warmupS: 0, windowS: checkS });
      // Some take seconds over their first request, or finish none of many long streams sooner.
      if (nothing(sample))
        sample = await measure(bench, target, load(peer), { warmupS: 0, windowS: FIRST_REPLIES_S });
      const fault = faultOf(sample);
      if (fault !== undefined) throw new Error(`wrong answers in ${name}: ${fault}`);
    }
    const entrant = { peer, version: await peer.version(), running, target, idleRssBytes };
    signalAll(target.pids, 'SIGSTOP');
    return entrant;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/** Why the sample must not be reported. */
export function faultOf(sample: Sample): string | undefined {
  if (sample.errors > 0) {
    return `${sample.errors} of ${sample.requests + sample.errors} failed: ${sample.errorSamples?.[0]}`;
  }
  if (sample.upstreamBad > 0) return `${sample.upstreamBad} requests reached the upstream damaged`;
  if (nothing(sample)) return 'nothing was answered';
  return undefined;
}

function nothing({ requests, errors, chunksPerSecond }: Sample): boolean {
  return requests === 0 && errors === 0 && chunksPerSecond === 0;
}

/** Wakes the gateway for the time of `turn`. */
export async function taking<T>(
  entrant: Entrant,
  core: number,
  turn: (target: Target) => Promise<T>,
): Promise<T> {
  signalAll(entrant.target.pids, 'SIGCONT');
  const pids = processTree(entrant.running.pid);
  try {
    const result = await turn({ ...entrant.target, pids });
    requirePinned(pids, core);
    await settled(pids);
    return result;
  } finally {
    signalAll(pids, 'SIGSTOP');
  }
}

/** What the gateways keep in memory after all loads, once they have had nothing to do for so long: in the order of `entrants`. */
export async function restedRssBytes(entrants: readonly Entrant[], restS: number): Promise<number[]> {
  const trees = entrants.map(({ running }) => processTree(running.pid));
  for (const pids of trees) signalAll(pids, 'SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, restS * 1_000));
  const bytes = entrants.map(({ running }) => residentBytes(processTree(running.pid)));
  for (const pids of trees) signalAll(pids, 'SIGSTOP');
  return bytes;
}

/** What a slow gateway still has to do for clients that have left must not fall into its next turn. */
async function settled(pids: readonly number[]): Promise<void> {
  let before = cpuSeconds(pids);
  await within(10_000, async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const now = cpuSeconds(pids);
    const idle = now - before < 0.05;
    before = now;
    return idle;
  });
}
