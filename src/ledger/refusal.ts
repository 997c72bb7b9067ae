/** Of SQLite: it is the row's fault, whose values are not what the table takes. */
const OF_SQLITE = /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/;
/** Of PostgreSQL: a value that no column takes, or that breaks a rule of the table. */
const OF_POSTGRES = /^2[23]...$/;

/** Whether a database does not take a row for good, whoever tries again. */
export function isRefusal(error: unknown): error is Error {
  const code = String((error as { readonly code?: unknown }).code);
  // Of the binding: a value of a kind that no column has.
  return (
    OF_SQLITE.test(code) ||
    OF_POSTGRES.test(code) ||
    error instanceof TypeError ||
    error instanceof RangeError
  );
}

/**
 * Has many rows inserted by one statement; where that is refused, halves are tried, until it is known whose fault it is.
 *
 * @returns Those that are refused, with the reason
 */
export async function insertByHalves<Row>(
  rows: readonly Row[],
  insert: (rows: readonly Row[]) => Promise<unknown>,
): Promise<readonly { readonly row: Row; readonly reason: string }[]> {
  try {
    await insert(rows);
    return [];
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (rows.length === 1) return [{ row: rows[0]!, reason: error.message }];
    const half = Math.ceil(rows.length / 2);
    const first = await insertByHalves(rows.slice(0, half), insert);
    return [...first, ...(await insertByHalves(rows.slice(half), insert))];
  }
}
