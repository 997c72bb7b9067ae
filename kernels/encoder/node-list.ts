import { type Attribute, nodeProto } from '../graph/onnx-messages.ts';

/** The nodes that give one value, whose name theirs begin with. */
export class NodeList {
  readonly messages: Buffer[] = [];
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  name(suffix: string): string {
    return `${this.#value}/${suffix}`;
  }

  /** Names a step on the way; without a suffix it is the value itself. */
  add(
    operator: string,
    inputs: readonly string[],
    suffix?: string,
    attributes?: Readonly<Record<string, Attribute>>,
  ): string {
    const output = suffix === undefined ? this.#value : this.name(suffix);
    this.messages.push(nodeProto(operator, inputs, [output], attributes));
    return output;
  }
}
