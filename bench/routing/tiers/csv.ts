/** Rows by the names of the first one. Quoted fields may hold anything (RFC 4180). */
export function parseCsv(text: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (match === null) throw new Error('this is not CSV');
    const [, quoted, plain = '', end] = match;
    rows.at(-1)!.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ',') rows.push([]);
  }
  const [names = [], ...data] = rows.filter((row) => row.length > 0);
  return data.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? ''])));
}
