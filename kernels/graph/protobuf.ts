/** Just enough of the protocol buffer wire format to write ONNX models, and to read again what was written here. Source: protobuf.dev "Encoding". */

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** An unsigned or (as ten bytes of two's complement) negative integer. */
export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

function key(field: number, wireType: number): Buffer {
  return varint((field << 3) | wireType);
}

export function integerField(field: number, value: number | bigint): Buffer {
  return Buffer.concat([key(field, VARINT), varint(value)]);
}

/** A string, bytes or nested message. */
export function bytesField(field: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([key(field, LENGTH_DELIMITED), varint(bytes.length), bytes]);
}

export function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), bytes]);
}

/** A field of a message: as it stands there, and what it holds if it is a string, bytes or a nested message. */
export interface MessageField {
  readonly field: number;
  readonly whole: Buffer;
  /** Empty for numbers. */
  readonly content: Buffer;
  /** Of an integer; 0 for everything else. */
  readonly integer: number;
}

/** The fields of a message in their order. Throws RangeError for a message that is cut off. */
export function fieldsOf(message: Buffer): MessageField[] {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const fields: MessageField[] = [];
  while (at < message.length) {
    const start = at;
    const key = readVarint();
    const wireType = key & 7;
    const length =
      wireType === FIXED32 ? 4 : wireType === LENGTH_DELIMITED || wireType === VARINT ? readVarint() : -1;
    if (length < 0) throw new RangeError(`wire type ${wireType} is not one of those written here`);
    const contentStart = at;
    if (wireType !== VARINT) at += length;
    if (at > message.length) throw new RangeError('the message is cut off');
    fields.push({
      field: key >>> 3,
      whole: message.subarray(start, at),
      integer: wireType === VARINT ? length : 0,
      content: wireType === LENGTH_DELIMITED ? message.subarray(contentStart, at) : Buffer.alloc(0),
    });
  }
  return fields;
}

/** The texts in all fields of one number. */
export function textsOf(message: Buffer, field: number): string[] {
  return fieldsOf(message)
    .filter((each) => each.field === field)
    .map(({ content }) => content.toString());
}

/** A message with every field of one number changed. */
export function rewritten(message: Buffer, field: number, change: (content: Buffer) => Buffer): Buffer {
  return Buffer.concat(
    fieldsOf(message).map((each) =>
      each.field === field ? bytesField(field, change(each.content)) : each.whole,
    ),
  );
}
