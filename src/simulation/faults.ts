import type { Engine } from './engine.ts';

/** What goes wrong, at which machine, when and for how long. */
export interface FaultAt {
  readonly kind: 'crash' | 'slow' | 'hang';
  readonly machine: number;
  readonly atMs: number;
  readonly durationMs: number;
}

interface FaultEvent {
  readonly atMs: number;
  readonly machine: number;
  happen(engine: Engine, world: { crash(): void; restart(): void }): void;
}

const SLOWNESS = 3;

/** In order of time. A crash is seen at once, as a refused connection; slowness and a hang are not announced. */
export function faultEvents(faults: readonly FaultAt[]): FaultEvent[] {
  const events = faults.flatMap(({ kind, machine, atMs, durationMs }): FaultEvent[] => {
    const endMs = atMs + durationMs;
    if (kind === 'hang') return [{ atMs, machine, happen: (engine) => engine.hang(durationMs) }];
    if (kind === 'crash')
      return [
        { atMs, machine, happen: (_, world) => world.crash() },
        { atMs: endMs, machine, happen: (_, world) => world.restart() },
      ];
    const slow = (slowness: number) => (engine: Engine) => {
      engine.slowness = slowness;
    };
    return [
      { atMs, machine, happen: slow(SLOWNESS) },
      { atMs: endMs, machine, happen: slow(1) },
    ];
  });
  return events.sort((a, b) => a.atMs - b.atMs);
}
