const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Within a string: where an escape stands. */
class StringEscape {
  #isOpen = false;
  #hexLeft = 0;

  get isNone(): boolean {
    return !this.#isOpen && this.#hexLeft === 0;
  }

  copy(): StringEscape {
    const copy = new StringEscape();
    copy.#isOpen = this.#isOpen;
    copy.#hexLeft = this.#hexLeft;
    return copy;
  }

  /** Characters that the byte adds; undefined: it ends the string. */
  push(byte: number): 0 | 1 | undefined {
    if (this.#hexLeft > 0) {
      this.#hexLeft--;
      return 0;
    }
    if (this.#isOpen) {
      this.#isOpen = false;
      if (byte === 0x75) this.#hexLeft = 4;
      return 0;
    }
    if (byte === QUOTE) return undefined;
    this.#isOpen = byte === BACKSLASH;
    // Bytes that go on with a character.
    return (byte & 0xc0) === 0x80 ? 0 : 1;
  }
}

interface Container {
  readonly isObject: boolean;
  /** Of the value that stands or comes next; arrays have that of what they stand in. */
  property: string | undefined;
  expectsName: boolean;
}

/** Follows JSON text, valid by other means, byte by byte. What surrounds the JSON is passed over if it has no quotes or braces. */
export class JsonScanner {
  readonly #containers: Container[] = [];
  #escape: StringEscape | undefined;
  #characters = 0;
  #name: number[] | undefined;

  /** The property of the string that is being written; undefined when none is, or a name is. */
  get inString(): { readonly property: string | undefined; readonly characters: number } | undefined {
    if (this.#escape === undefined || this.#name !== undefined) return undefined;
    return { property: this.#containers.at(-1)?.property, characters: this.#characters };
  }

  /** Nothing of an escape has been written that has to be completed. */
  get isBetweenCharacters(): boolean {
    return this.#escape?.isNone ?? true;
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) this.#push(byte);
  }

  /** Characters that a token would add to the string that is being written. */
  lead(bytes: Uint8Array): number {
    return leadOf(bytes, this.#escape?.copy() ?? new StringEscape());
  }

  #push(byte: number): void {
    if (this.#escape !== undefined) {
      const added = this.#escape.push(byte);
      if (added === undefined) this.#endString();
      else {
        this.#characters += added;
        this.#name?.push(byte);
      }
      return;
    }
    const top = this.#containers.at(-1);
    switch (byte) {
      case QUOTE:
        this.#escape = new StringEscape();
        this.#characters = 0;
        this.#name = top?.expectsName ? [] : undefined;
        return;
      case 0x7b:
        this.#containers.push({ isObject: true, property: undefined, expectsName: true });
        return;
      case 0x5b:
        this.#containers.push({ isObject: false, property: top?.property, expectsName: false });
        return;
      case 0x7d:
      case 0x5d:
        this.#containers.pop();
        return;
      case 0x2c:
        if (top?.isObject) top.expectsName = true;
    }
  }

  #endString(): void {
    const top = this.#containers.at(-1);
    if (this.#name !== undefined && top !== undefined) {
      top.property = JSON.parse(`"${Buffer.from(this.#name).toString()}"`) as string;
      top.expectsName = false;
    }
    this.#escape = undefined;
    this.#name = undefined;
  }
}

function leadOf(bytes: Uint8Array, state: StringEscape): number {
  let characters = 0;
  for (const byte of bytes) {
    const added = state.push(byte);
    if (added === undefined) break;
    characters += added;
  }
  return characters;
}

/** Characters that a token adds to a string, if no escape is open. */
export function plainLead(bytes: Uint8Array): number {
  return leadOf(bytes, new StringEscape());
}

/** The most characters without a quote behind the first quote of a token: it may write so much of another string. */
export function longestTail(bytes: Uint8Array): number {
  const [, ...tails] = Buffer.from(bytes).toString('latin1').split('"');
  return Math.max(0, ...tails.map((tail) => tail.length));
}
