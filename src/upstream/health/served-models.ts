import { asWire, jsonOf } from '../wire/wire-chunk.ts';

/** What `GET /models` lists, without duplicates; Together's list is bare. Undefined where the body is not a list of models. */
export function parseServedModels(body: string): readonly string[] | undefined {
  const list = jsonOf(body);
  const { data } = asWire(list);
  if (Array.isArray(data)) return idsOf(data);
  const bare = Array.isArray(list) ? idsOf(list) : [];
  return bare.length > 0 ? bare : undefined;
}

function idsOf(entries: readonly unknown[]): readonly string[] {
  const ids = entries.map((entry) => asWire(entry).id).filter((id) => typeof id === 'string');
  return [...new Set(ids)];
}

/**
 * The models that an upstream was last seen to serve, against those that the configuration expects there. An upstream that
 * lists nothing legible is believed to serve everything.
 */
export class ServedModels {
  readonly #onMissing: (missing: readonly string[]) => void;
  #served: readonly string[] | undefined;
  #expected: readonly string[] = [];
  #missing: readonly string[] = [];

  /** @param onMissing Called when what is missing has changed. */
  constructor(onMissing: (missing: readonly string[]) => void) {
    this.#onMissing = onMissing;
  }

  get served(): readonly string[] | undefined {
    return this.#served;
  }

  /** Expected, and not served. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  expect(models: readonly string[]): void {
    this.#expected = [...new Set(models)];
    this.#compare();
  }

  listed(models: readonly string[] | undefined): void {
    this.#served = models;
    this.#compare();
  }

  #compare(): void {
    const served = this.#served;
    const missing = served === undefined ? [] : this.#expected.filter((model) => !served.includes(model));
    const changed = missing.join('\n') !== this.#missing.join('\n');
    this.#missing = missing;
    if (changed) this.#onMissing(missing);
  }
}
