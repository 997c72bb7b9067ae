import { expect, it } from 'vitest';
import { attemptsOf, callerOf, settled } from '../../test/ledger/events.ts';
import type { AttemptRecord } from '../core/event.ts';
import { settledRows } from './row.ts';

const NOTHING = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0, reasoningTokens: 0 };

/** Of a request whose only attempt ended so before its first token. */
function outcomeOf(code: AttemptRecord['code'], promptTokens: number, costNanoUsd = 0): unknown {
  const caller = callerOf(1);
  const attempt = { ...attemptsOf(0)[0]!, code, usage: { ...NOTHING, promptTokens }, costNanoUsd };
  const event = { ...settled('s', caller, 0), outcome: 'cancelled' as const, attempts: [attempt], caller };
  return settledRows(event, 1)[0]!.label.outcome;
}

it('calls an attempt aborted that was abandoned and is paid for, failed one that brought nothing', () => {
  expect(outcomeOf('client_closed', 1_000, 1_000_000)).toBe('aborted');
  expect(outcomeOf('deadline_exceeded', 1_000, 1_000_000)).toBe('aborted');
  // Of a machine paid by the hour; of a model without a price.
  expect(outcomeOf('client_closed', 0, 5)).toBe('aborted');
  expect(outcomeOf('client_closed', 1_000)).toBe('aborted');
  expect(outcomeOf('client_closed', 0)).toBe('failed');
  expect(outcomeOf('upstream_error', 0)).toBe('failed');
});
