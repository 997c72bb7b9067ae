export interface ServerSentEvent {
  /** As the last `event` line says; nearly always undefined. */
  readonly type: string | undefined;
  /** The `data` lines joined by LF, or undefined if there is none (a comment, a heartbeat). */
  readonly data: string | undefined;
  /** A line that tells of an error by its own name, as those of llama.cpp do (`error: {…}`). */
  readonly error: string | undefined;
}

const LF = 0x0a;
const COLON = 0x3a;
/** CR LF, and what is no more than that behind it. */
const MOST_ENDS_BYTES = 3;

/** Whether an event is no more than a blank line, or a comment of one line: known without making a string of it. */
export function isComment(event: Buffer): boolean {
  return event[0] === LF || (event[0] === COLON && event.indexOf(LF) >= event.length - MOST_ENDS_BYTES);
}

/** Whether the name of a field, or the type of an event, tells of an error. */
export function isErrorName(name: string): boolean {
  return /error|exception/i.test(name);
}

/** Reads one event, whole and by itself. */
export function readEvent(event: Buffer): ServerSentEvent {
  let type: string | undefined;
  let data: string | undefined;
  let error: string | undefined;
  for (const line of event.toString('utf8').split(/\r?\n/)) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== 'data' && field !== 'event') {
      if (colon > 0 && isErrorName(field)) error = line;
      continue;
    }
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') type = value;
    else data = data === undefined ? value : `${data}\n${value}`;
  }
  return { type, data, error };
}

/** An event whose data is JSON: between its lines is white space. */
export function jsonEvent(data: string): Buffer {
  return Buffer.from(`data: ${data.replaceAll('\n', ' ')}\n\n`);
}

/** A word, with a time at most (`ping - 2024-01-09 12:00:00`). One that tells of an error is none, nor are several. */
export function isSignOfLife(data: string): boolean {
  return /^[[(]?(?!\w*(?:error|exception))[\w-]{1,32}[\])]?[\d:.TZ+ -]*$/i.test(data.trim());
}
