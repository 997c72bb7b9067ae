import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { POLICIES, type PolicyName } from '../../routers/policies.ts';
import { LARGE, SMALL } from '../simulation/engine.ts';
import { type Figures, figures } from '../simulation/figures.ts';
import { simulate } from '../simulation/simulate.ts';
import { isTrace, parseTrace, replay, type Trace } from '../simulation/trace.ts';

export interface TraceFlags {
  readonly engines: number;
  readonly small?: boolean;
  /** Factor on the trace's own rate. */
  readonly load: number;
  readonly seed: number;
  readonly json?: boolean;
}

/** About what machines of one's own come to when they are busy. */
const PRICE = { inputUsdPerMTok: 0.2, cachedInputUsdPerMTok: 0.05, outputUsdPerMTok: 0.4 };
const SCRAPE_MS = 1_000;

/** The public trace in the file. Undefined: it holds something else. @throws Error naming the file and the line. */
export async function traceIn(path: string): Promise<Trace | undefined> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  let first = '';
  for await (const line of lines) {
    first = line;
    break;
  }
  if (!isTrace(first)) return undefined;
  try {
    return parseTrace(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

/** How simulated engines fare under the policy, beside taking turns. As text, or as JSON if wished. */
export function replayTrace(trace: Trace, policy: PolicyName, flags: TraceFlags): string {
  const { engines, small = false, load, seed } = flags;
  if (engines < 1 || load <= 0) throw new Error('--engines and --load must be more than 0');
  const requests = replay(trace, load, seed);
  const machines = Array.from({ length: engines }, () => ({ engine: small ? SMALL : LARGE, price: PRICE }));
  const run = (name: PolicyName) =>
    figures(
      simulate({ machines, requests, faults: [], seed, scrapeMs: SCRAPE_MS, gateways: 1 }, POLICIES[name]),
    );
  const results = new Map([...new Set<PolicyName>(['round-robin', policy])].map((name) => [name, run(name)]));
  if (flags.json === true) return `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n`;
  return (
    `${requests.length} requests at ${load} × their own rate, ${engines} simulated engines with a model of ${small ? '8B' : '70B'}.\n` +
    'Goodput: first token within 2 s + 0.1 ms per prompt token, later ones 50 ms apart or less.\n\n' +
    rows(results).join('')
  );
}

const ROWS: readonly [string, (figures: Figures) => string][] = [
  ['goodput', ({ goodput }) => `${(100 * goodput).toFixed(1)} %`],
  ['TTFT p50', ({ ttftP50Ms }) => `${ttftP50Ms.toFixed(0)} ms`],
  ['TTFT p99', ({ ttftP99Ms }) => `${ttftP99Ms.toFixed(0)} ms`],
  ['prompt tokens from caches', ({ hitRate }) => `${(100 * hitRate).toFixed(1)} %`],
  ['cost per 1,000 requests', ({ usdPerThousand }) => `${usdPerThousand.toFixed(2)} USD`],
  ['fairness, short to long', ({ fairness }) => fairness.toFixed(3)],
];

function rows(results: ReadonlyMap<string, Figures>): string[] {
  const width = Math.max(...ROWS.map(([name]) => name.length)) + 2;
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(width)}${cells.map((cell) => cell.padStart(20)).join('')}\n`;
  const all = [...results.values()];
  return [line('', [...results.keys()]), ...ROWS.map(([name, cell]) => line(name, all.map(cell)))];
}
