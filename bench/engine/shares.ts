import { join } from 'node:path';
import { PROCESS_NICENESS } from '../../src/model-process/model-process.ts';
import { asEngine } from './as-engine.ts';
import type { BareOptions } from './bare-turns.ts';
import { median } from './columns.ts';
import type { Decoding } from './decode-together.ts';
import { startAnswering } from './processes.ts';
import { THROUGHPUT_PROMPT_TOKENS, throughput, throughputTokens } from './served.ts';

/** So many times either is measured: a machine is not as fast for a minute as for the next. */
const TURNS = 3;

/**
 * What of the bare engine's tokens arrives over HTTP, by number of clients: the median of turns, each beside what the bare engine decodes
 * right before and right after it. The server must be at rest when it has answered: one that reads replies back is not.
 */
export async function measureShares(
  url: string,
  bare: BareOptions,
  clientCounts: readonly number[],
): Promise<Record<string, number>> {
  const program = [process.execPath, join(import.meta.dirname, 'bare-turns.ts'), JSON.stringify(bare)];
  const engine = startAnswering(asEngine(program, PROCESS_NICENESS));
  try {
    // Both have their code compiled then, and their memory.
    const warm: Decoding = { sequences: bare.slots, contextTokens: THROUGHPUT_PROMPT_TOKENS, steps: 8 };
    await engine.ask(JSON.stringify(warm));
    await throughput(url, clientCounts[0]!);
    const shares: Record<string, number> = {};
    for (const clients of clientCounts) {
      const decoding: Decoding = {
        sequences: clients,
        contextTokens: THROUGHPUT_PROMPT_TOKENS,
        steps: throughputTokens(clients),
      };
      const decode = async () => Number(await engine.ask(JSON.stringify(decoding)));
      const each: number[] = [];
      let before = await decode();
      for (let turn = 0; turn < TURNS; turn++) {
        const served = await throughput(url, clients);
        const after = await decode();
        each.push((2 * served) / (before + after));
        before = after;
      }
      shares[clients] = median(each.sort((a, b) => a - b));
    }
    return shares;
  } finally {
    engine.stop();
  }
}
