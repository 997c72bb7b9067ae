import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildGoPrograms } from '../peers/install.ts';
import { type Entrant, faultOf, lineUp } from '../peers/lineup.ts';
import type { Bench, Sample } from '../peers/measure.ts';
import type { Peer } from '../peers/peer.ts';
import { stopAll } from '../peers/processes.ts';
import { type Scenario, scenarios } from '../peers/scenarios.ts';
import { startUpstream } from '../peers/upstream-process.ts';

/** What the measurements in this folder share: gateways on one core, that relay small requests to a fast upstream on the other. */

export const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
/** V8 takes seconds of full load to compile what is hot. */
const WARM_UP_S = 12;
export const SETTLE_S = 0.5;
export const small: Scenario = scenarios.find(({ name }) => name === 'small')!;

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
}

/** Prints what comes of it; `--write` keeps it in the file, too. All processes are ended, whatever happens. */
export async function report(
  file: string,
  defaultRounds: number,
  measured: (settings: Settings) => Promise<string>,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(defaultRounds) },
      seconds: { type: 'string', default: '3' },
      write: { type: 'boolean', default: false },
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stopAll().then(() => process.exit(130)));
  try {
    const text = await measured({ rounds: Number(values.rounds), seconds: Number(values.seconds) });
    process.stdout.write(text);
    if (values.write) writeFileSync(join(import.meta.dirname, file), text);
  } finally {
    await stopAll();
  }
}

/** @throws Error that says which one does not run, or answers wrongly */
export async function lineUpAll(
  peers: readonly Peer[],
): Promise<{ readonly bench: Bench; readonly entrants: readonly Entrant[] }> {
  const bench = await startUpstream(await buildGoPrograms(), LOAD_CORE);
  const { entrants, absent } = await lineUp(bench, peers, {
    core: GATEWAY_CORE,
    scenarios: [small],
    checkS: WARM_UP_S,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  if (absent.length > 0) throw new Error(`${absent[0]!.name}: ${absent[0]!.reason}`);
  return { bench, entrants };
}

/** @throws Error that says why the sample must not be reported */
export function faultless(name: string, sample: Sample): Sample {
  const fault = faultOf(sample);
  if (fault !== undefined) throw new Error(`${name}: ${fault}`);
  return sample;
}

/** Median, least and most. */
export function spread(figures: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...figures), Math.max(...figures)];
  return `${median(figures).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

export function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}
