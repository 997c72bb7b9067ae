import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { POLICIES, type PolicyName } from '../../routers/policies.ts';
import type { DecisionView } from '../decisions/decision-view.ts';
import { type Outcome, type ReplayReport, replay as replayDecisions } from '../decisions/replay.ts';
import { replayTrace, type TraceFlags, traceIn } from './replay-trace.ts';

export interface ReplayFlags extends TraceFlags {
  readonly policy: string;
  readonly model?: string;
  readonly json?: boolean;
}

/**
 * `qianmen replay FILE --policy P`: what another policy would have decided, or how it does under the load of a public trace.
 *
 * @throws Error naming the file and the line.
 */
export async function replay(log: string, flags: ReplayFlags): Promise<void> {
  if (!isPolicy(flags.policy))
    throw new Error(`there is no policy \`${flags.policy}\` (known: ${Object.keys(POLICIES).join(', ')})`);
  const trace = await traceIn(log);
  if (trace !== undefined) {
    process.stdout.write(replayTrace(trace, flags.policy, flags));
    return;
  }
  const all = await readDecisions(log);
  const records = flags.model === undefined ? all : all.filter(({ model }) => model === flags.model);
  const report = replayDecisions(records, flags.policy, Math.random);
  process.stdout.write(flags.json ? json(report) : table(report, flags.policy, records.length));
}

function isPolicy(name: string): name is PolicyName {
  return Object.hasOwn(POLICIES, name);
}

async function readDecisions(path: string): Promise<DecisionView[]> {
  const records: DecisionView[] = [];
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    line += 1;
    if (text === '') continue;
    const record = parsed(text);
    if (record === undefined)
      throw new Error(
        `${path}, line ${line}: this is neither a decision nor a trace; expected is what \`decisions.log: true\` writes to decisions.jsonl`,
      );
    records.push(record);
  }
  return records;
}

function parsed(text: string): DecisionView | undefined {
  try {
    const record = JSON.parse(text) as Partial<DecisionView> | null;
    const whole = record?.choices && record.observed && record.request?.blocks !== undefined && record.at;
    return whole ? (record as DecisionView) : undefined;
  } catch {
    return undefined;
  }
}

function json({ recorded, replayed, ...report }: ReplayReport): string {
  const plain = ({ shares, ...outcome }: Outcome) => ({ ...outcome, shares: Object.fromEntries(shares) });
  return `${JSON.stringify({ ...report, recorded: plain(recorded), replayed: plain(replayed) }, undefined, 2)}\n`;
}

function table(
  { decisions, agreement, recorded, replayed }: ReplayReport,
  policy: string,
  all: number,
): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const rows: [string, string, string][] = [
    ['', 'as recorded', policy],
    ['first token in time', percent(recorded.goodput), percent(replayed.goodput)],
    ['TTFT p50', `${recorded.ttftP50Ms.toFixed(0)} ms`, `${replayed.ttftP50Ms.toFixed(0)} ms`],
    ['TTFT p99', `${recorded.ttftP99Ms.toFixed(0)} ms`, `${replayed.ttftP99Ms.toFixed(0)} ms`],
    ['cost', `${recorded.costUsd.toFixed(4)} USD`, `${replayed.costUsd.toFixed(4)} USD`],
    ['fairness', recorded.fairness.toFixed(3), replayed.fairness.toFixed(3)],
    ...[...new Set([...recorded.shares.keys(), ...replayed.shares.keys()])].map(
      (id): [string, string, string] => [
        id,
        percent((recorded.shares.get(id) ?? 0) / decisions),
        percent((replayed.shares.get(id) ?? 0) / decisions),
      ],
    ),
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, was, is]) => `${name.padEnd(width)}${was.padStart(14)}${is.padStart(20)}\n`);
  return (
    `${decisions} of ${all} decisions had a choice; ${policy} takes the same in ${percent(agreement)} of them.\n` +
    `Times and costs are predicted, with the load at each deployment as it was recorded.\n\n${lines.join('')}`
  );
}
