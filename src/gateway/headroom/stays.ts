import type { Guest } from './guests.ts';
import type { Asked } from './light-demand.ts';

/*
 * What is said of tenants and their requests, here and in the line:
 *
 *   heavy, light        a tenant that has had a line of its own of late, or far more inside than others; and any other
 *   share               a part, by weight, of what heavy tenants may have inside (`Headroom.held`): a light one's own, or that
 *                       of all heavy ones together
 *   little, some, much  what a light tenant, or all heavy ones together, have inside: below the share or hardly anything; in
 *                       between; above, and heavy
 *   pressing            a request of a heavy tenant above that share; where prompts need pauses, also within it
 *   late                a request of whose reply nothing is there although that is unusual
 *   found no place      a request that was in line although its tenant had nothing running
 *   held up             a request that its own client had wait: nobody learns from how long it took
 *   excessive           a request in line beyond its tenant's share of the line, while others wait, too (`isExcessive`)
 *   crowded             a request that was inside among more than its backend takes, as is known by now (`Slot`)
 */

/** What a light tenant, or all heavy ones together, have inside. */
export type Size = 'little' | 'some' | 'much';

/** One request of a guest. */
export interface Stay {
  readonly guest: Guest;
  readonly size: Size;
  /** The largest of all that were inside, itself included. */
  readonly company: Size;
  /** How many pressing ones had no answer when it came, itself included if it is one of them. */
  readonly unanswered: number;
  readonly pressing: boolean;
  /** What it is part of; undefined: its tenant is heavy, as far as is known. */
  readonly asked: Asked | undefined;
  readonly enteredAtMs: number;
  /** What `stalledMs` was then. */
  readonly stalledMs: number;
  /** If nothing of its reply is there by then, it is late. */
  readonly lateAtMs: number;
}

/** The requests inside one backend, and which of them have no answer. */
export class Stays {
  /** Those whose replies have not begun, the oldest first. */
  readonly #unanswered = new Set<Stay>();
  /** The pressing ones among them. */
  readonly #pressing = new Set<Stay>();
  readonly #count: Record<Size, number> = { little: 0, some: 0, much: 0 };
  #pressedAtMs = Number.NEGATIVE_INFINITY;

  /** How many have no answer. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** How many of those are pressing. */
  get pressing(): number {
    return this.#pressing.size;
  }

  /** Of those without an answer; undefined: there are none. */
  get oldestEnteredAtMs(): number | undefined {
    const [oldest] = this.#unanswered;
    return oldest?.enteredAtMs;
  }

  /** The largest of it and all that are inside. */
  companyOf(size: Size): Size {
    const { much, some } = this.#count;
    if (size === 'much' || much > 0) return 'much';
    return size === 'some' || some > 0 ? 'some' : 'little';
  }

  isAnyLate(nowMs: number): boolean {
    for (const { lateAtMs } of this.#unanswered) if (lateAtMs < nowMs) return true;
    return false;
  }

  enter(stay: Stay): void {
    this.#count[stay.size] += 1;
    this.#unanswered.add(stay);
    stay.guest.unanswered += 1;
    if (!stay.pressing) return;
    this.#pressing.add(stay);
    this.#pressedAtMs = stay.enteredAtMs;
  }

  /** Something of its reply is there. @returns Whether it was pressing, and had no answer until now. */
  begun(stay: Stay): boolean {
    if (this.#unanswered.delete(stay)) stay.guest.unanswered -= 1;
    return this.#pressing.delete(stay);
  }

  /** It takes no place any more, or none for now. */
  wentAway({ guest, size }: Stay): void {
    guest.inFlight -= 1;
    this.#count[size] -= 1;
  }

  cameBack({ guest, size }: Stay): void {
    guest.inFlight += 1;
    this.#count[size] += 1;
  }

  /** Whether a pressing one came while it waited. */
  wasPressedAfter({ pressing, enteredAtMs }: Stay, startedAtMs: number): boolean {
    return pressing ? this.#pressedAtMs > enteredAtMs : this.#pressedAtMs >= startedAtMs;
  }
}
