import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { ConfigReloaded, GatewayEvent } from '../core/event.ts';
import { Reloader } from './reloader.ts';

function configOf(value: object = {}): Config {
  return checkConfig(value, 'test');
}

function harness() {
  const events: ConfigReloaded[] = [];
  const applied: Config[] = [];
  let gate = Promise.resolve();
  const reloader = new Reloader({
    initial: configOf({ listen: { port: 1 } }),
    emit: (event: GatewayEvent) => {
      if (event.type === 'config-reloaded') events.push(event);
    },
    async apply({ config }) {
      await gate;
      if (config.log.level === 'silent') throw new Error('not this one');
      applied.push(config);
      return 'all';
    },
  });
  const reload = (value: object) =>
    reloader.reload(async () => ({ config: configOf(value), modelPaths: new Map() }));
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  };
  return { reloader, reload, hold, events, applied };
}

describe('reloading', () => {
  it('keeps what only a restart changes, and names it', async () => {
    const { reloader, reload, events } = harness();
    const changed = { dataDir: '/other', listen: { port: 2, host: '127.0.0.9', workers: 3, heartbeatMs: 9 } };
    expect(await reload(changed)).toBe(true);
    expect(reloader.current.listen).toMatchObject({ port: 1, host: '127.0.0.1', workers: 1, heartbeatMs: 9 });
    expect(reloader.current.dataDir).toBe('./data');
    expect(events[0]?.ignored).toEqual(['listen.host', 'listen.port', 'listen.workers', 'dataDir']);
  });

  it('stays with the last good one, whether loading or applying fails, and recovers', async () => {
    const { reloader, reload, events } = harness();
    const problem = () => (events.at(-1)?.ok === false ? events.at(-1)?.detail : undefined);
    await reload({ log: { level: 'warn' } });
    expect(await reload({ log: { level: 'nonsense' } })).toBe(false);
    expect(problem()).toContain('log.level');
    expect(await reload({ log: { level: 'silent' } })).toBe(false);
    expect(problem()).toBe('not this one');
    expect(reloader.current.log.level).toBe('warn');
    expect(await reload({})).toBe(true);
    expect(problem()).toBeUndefined();
    expect(events.map(({ ok }) => ok)).toEqual([true, false, false, true]);
  });

  it('applies one at a time, and of many that wait only the latest', async () => {
    const { reload, hold, applied } = harness();
    const release = hold();
    const results = ['warn', 'debug', 'trace', 'error'].map((level) => reload({ log: { level } }));
    await Promise.resolve();
    release();
    expect(await Promise.all(results)).toEqual([true, true, true, true]);
    expect(applied.map(({ log }) => log.level)).toEqual(['error']);
    const second = hold();
    const first = reload({ log: { level: 'warn' } });
    await new Promise((resolve) => setImmediate(resolve));
    const later = ['debug', 'trace'].map((level) => reload({ log: { level } }));
    second();
    await Promise.all([first, ...later]);
    expect(applied.map(({ log }) => log.level)).toEqual(['error', 'warn', 'trace']);
  });
});
