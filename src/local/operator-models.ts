import { type EngineConfig, engineName } from '../../config/engine.ts';
import type { WantedModel } from './local-models.ts';

interface Entry extends WantedModel {
  /** What the configuration said of the name then; undefined: nothing. */
  readonly over: string | undefined;
}

/**
 * What operators have added to the models of the configuration, or put into the place of one. The latest word about
 * a name counts: a configuration that says something new about it replaces what an operator said. Not kept over a
 * restart.
 */
export class OperatorModels {
  #entries: ReadonlyMap<string, Entry> = new Map();

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** @param configured What the configuration says now. Returns what undoes it. */
  set(wanted: WantedModel, configured: readonly EngineConfig[]): () => void {
    const name = engineName(wanted.settings);
    const before = configured.find((engine) => engineName(engine) === name);
    const over = before && JSON.stringify(before);
    return this.#replace(new Map([...this.#entries, [name, { ...wanted, over }]]));
  }

  /** Returns what undoes it. */
  delete(name: string): () => void {
    return this.#replace(new Map([...this.#entries].filter(([other]) => other !== name)));
  }

  /** Forgets what a configuration has overtaken. */
  prune(configured: readonly EngineConfig[]): void {
    const said = new Map(configured.map((engine) => [engineName(engine), JSON.stringify(engine)]));
    this.#entries = new Map([...this.#entries].filter(([name, { over }]) => said.get(name) === over));
  }

  /** The models of a configuration with the changes of operators that still count. */
  merge(configured: readonly WantedModel[]): readonly WantedModel[] {
    const names = new Set(configured.map(({ settings }) => engineName(settings)));
    const merged = configured.map((model) => {
      const entry = this.#entries.get(engineName(model.settings));
      return entry?.over === JSON.stringify(model.settings) ? entry : model;
    });
    const added = [...this.#entries].filter(([name, { over }]) => over === undefined && !names.has(name));
    return [...merged, ...added.map(([, entry]) => entry)];
  }

  #replace(entries: ReadonlyMap<string, Entry>): () => void {
    const before = this.#entries;
    this.#entries = entries;
    return () => {
      this.#entries = before;
    };
  }
}
