import { machineMemoryBytes } from './machine-memory.ts';
import { sizeText } from './memory-estimate.ts';

/** A model that takes memory, or is about to. */
export interface Resident {
  readonly name: string;
  /** What it may come to take. */
  readonly expectedBytes: number;
  /** What its process takes now; undefined while it has none, or where the system does not tell. */
  readonly residentBytes: number | undefined;
  /** Monotonic milliseconds of its last request; undefined while it works or loads. */
  readonly idleSinceMs: number | undefined;
  /** Takes it out of memory. Resolves once that is done. */
  evict(inFavourOf: string): Promise<void>;
}

export interface BudgetLimit {
  readonly bytes: number;
  /** Somebody has said so. Otherwise it is a guess, for which idle models are unloaded but nothing is refused. */
  readonly configured: boolean;
}

/** Of the machine's memory, what local models may take where nobody has said. */
const MEMORY_SHARE = 0.8;

export function memoryLimit(configuredBytes: number | undefined): BudgetLimit {
  return configuredBytes === undefined
    ? { bytes: Math.floor(machineMemoryBytes() * MEMORY_SHARE), configured: false }
    : { bytes: configuredBytes, configured: true };
}

export interface AdmitOptions {
  /** False: only what is free counts. */
  readonly mayEvict: boolean;
  /** Not evicted, however long idle. */
  readonly spare?: Resident | undefined;
}

/** There is no room for a model. The message is for operators: it has numbers and names. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
  /** There will be room once those that are busy are idle. */
  readonly mayPass: boolean;

  constructor(message: string, mayPass: boolean) {
    super(message);
    this.mayPass = mayPass;
  }
}

/**
 * Who may be in memory. Each model counts for what it may come to take, since KV memory is committed as it is used; or for what
 * its process was measured to take, if that is more. One that does not fit takes the place of idle ones, the longest idle first.
 */
export class MemoryBudget {
  readonly #limit: () => BudgetLimit;
  readonly #residents = new Set<Resident>();
  /** One at a time, so that what was freed for one load is not taken by another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(limit: () => BudgetLimit) {
    this.#limit = limit;
  }

  get limit(): BudgetLimit {
    return this.#limit();
  }

  /** What all models in memory may come to take. */
  get chargedBytes(): number {
    return sumOf(this.#residents);
  }

  /** 0 for a model that is not in memory. */
  chargeOf(resident: Resident): number {
    return this.#residents.has(resident) ? charge(resident) : 0;
  }

  /**
   * Resolves to the number of bytes beyond the budget, which only a guessed budget allows.
   *
   * @throws NoRoomError
   */
  admit(resident: Resident, options: AdmitOptions): Promise<number> {
    const admitted = this.#last.then(() => this.#admit(resident, options));
    this.#last = admitted.catch(() => {});
    return admitted;
  }

  holds(resident: Resident): boolean {
    return this.#residents.has(resident);
  }

  /** It has left the memory. */
  release(resident: Resident): void {
    this.#residents.delete(resident);
  }

  async #admit(resident: Resident, { mayEvict, spare }: AdmitOptions): Promise<number> {
    const { bytes: limitBytes, configured } = this.#limit();
    const neededBytes = charge(resident);
    const others = [...this.#residents].filter((other) => other !== resident);
    const idle = others
      .filter((other) => mayEvict && other !== spare && other.idleSinceMs !== undefined)
      .sort((a, b) => a.idleSinceMs! - b.idleSinceMs!);
    let overBytes = sumOf(others) + neededBytes - limitBytes;
    // Nothing is unloaded for a model that would not fit all the same.
    if (configured && overBytes > sumOf(idle)) throw refusal(resident, others, limitBytes, spare);
    for (const other of idle) {
      if (overBytes <= 0) break;
      // It may have got work while others were evicted.
      if (other.idleSinceMs === undefined) continue;
      overBytes -= charge(other);
      await other.evict(resident.name);
    }
    if (configured && overBytes > 0) throw refusal(resident, others, limitBytes, spare);
    this.#residents.add(resident);
    return Math.max(0, overBytes);
  }
}

function charge({ expectedBytes, residentBytes = 0 }: Resident): number {
  return Math.max(expectedBytes, residentBytes);
}

function sumOf(residents: Iterable<Resident>): number {
  let sum = 0;
  for (const resident of residents) sum += charge(resident);
  return sum;
}

function refusal(
  resident: Resident,
  others: readonly Resident[],
  limitBytes: number,
  spare: Resident | undefined,
): NoRoomError {
  const neededBytes = charge(resident);
  const taken = others.map((other) => {
    const busy = other.idleSinceMs === undefined ? ' and is busy' : '';
    return `${other.name} has ${sizeText(charge(other))}${busy}`;
  });
  const fits = neededBytes <= limitBytes;
  const staysBytes = spare !== undefined && others.includes(spare) ? charge(spare) : 0;
  const stays = fits && neededBytes + staysBytes > limitBytes;
  const advice = stays
    ? `${spare?.name} stays in memory until the new one takes over: unload it first, or give`
    : fits
      ? 'Unload another, give'
      : 'Give';
  return new NoRoomError(
    `${resident.name} may come to take ${sizeText(neededBytes)}, and memoryBudgetBytes allows ${sizeText(limitBytes)} for all models` +
      `${fits ? ` (${taken.join(', ')})` : ''}. ${advice} this one fewer slots, contextTokens or batchTokens or a smaller ` +
      'prefixCacheBytes, or raise memoryBudgetBytes.',
    neededBytes + staysBytes <= limitBytes,
  );
}
