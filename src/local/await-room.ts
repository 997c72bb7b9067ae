import { type Clock, pause } from '../model-process/clock.ts';
import { type AdmitOptions, type MemoryBudget, NoRoomError, type Resident } from './memory-budget.ts';

/**
 * A reply that keeps a model busy is often over within this time; whoever would wait longer is better told to come
 * again.
 */
const PATIENCE_MS = 10_000;
const POLL_MS = 100;

/**
 * Like `budget.admit`; but while only busy models are in the way, waits for one of them to become idle, for a limited time.
 *
 * @param goOn Whether anybody still wants it.
 * @throws NoRoomError
 */
export async function awaitRoom(
  budget: MemoryBudget,
  resident: Resident,
  options: AdmitOptions & { readonly clock: Clock; readonly goOn: () => boolean },
): Promise<number> {
  const { clock, goOn } = options;
  const untilMs = clock.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await budget.admit(resident, options);
    } catch (error) {
      const mayPass = error instanceof NoRoomError && error.mayPass;
      if (!mayPass || clock.now() >= untilMs || !goOn()) throw error;
    }
    await pause(clock, POLL_MS);
  }
}
