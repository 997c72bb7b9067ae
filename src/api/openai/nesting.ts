import { invalidValue, printable } from './invalid-request.ts';

/**
 * Throws a 400 if arrays and objects nest deeper than `maxDepth`. Everything behind the parsers (templates, schemas,
 * `JSON.stringify`) may then recurse without fear for the stack. It does not recurse itself.
 */
export function requireShallow(body: unknown, maxDepth: number): void {
  if (typeof body !== 'object' || body === null) return;
  for (const [key, value] of Object.entries(body)) {
    if (isDeeperThan(value, maxDepth - 1))
      throw invalidValue(printable(key), `is nested deeper than ${maxDepth} levels`);
  }
}

export function isDeeperThan(root: unknown, maxDepth: number): boolean {
  let level = isContainer(root) ? [root] : [];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    const next: object[] = [];
    for (const container of level) {
      // Arrays of numbers (token ids) are the one large flat thing: no copy of those.
      const values = Array.isArray(container) ? container : Object.values(container);
      for (const value of values) if (isContainer(value)) next.push(value);
    }
    level = next;
  }
  return false;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
