/** Gives a rule to a text and returns its name. A text that refers to itself is told the name first. */
export type AddRule = (text: (name: string) => string) => string;

const LONGEST_INLINE_CHARS = 100;

/** The rules of one grammar, in the notation of xgrammar's EBNF. */
export class Rules {
  readonly #texts = new Map<string, string>();

  has(name: string): boolean {
    return this.#texts.has(name);
  }

  define(name: string, text: string): void {
    this.#texts.set(name, text);
  }

  readonly add: AddRule = (text) => {
    const name = `r_${this.#texts.size}`;
    // Before its text is known, which may add rules of its own.
    this.#texts.set(name, '');
    this.#texts.set(name, text(name));
    return name;
  };

  /** The text, or a rule with that text where it is long: what is written twice on every level would grow with their power. */
  short(text: string): string {
    return text.length > LONGEST_INLINE_CHARS ? this.add(() => text) : text;
  }

  /** All rules, a line each, after a rule `root` with this text. */
  withRoot(text: string): string {
    return `root ::= ${text}\n${[...this.#texts].map(([name, rule]) => `${name} ::= ${rule}\n`).join('')}`;
  }
}
