/** Node looks for the same in what it sends. */
const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * A line of a head as it is sent.
 *
 * @param name In lower case.
 * @throws Error if the value cannot stand in a header
 */
export function headerLine(name: string, value: string): string {
  if (INVALID_VALUE.test(value)) throw new Error(`a value of ${name} cannot stand in a header`);
  return `${name}: ${value}\r\n`;
}

/** The other way round: names and values of lines. */
export function headerPairs(lines: string): [name: string, value: string][] {
  return lines
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}
