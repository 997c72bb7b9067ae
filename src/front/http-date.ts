const VALID_MS = 1_000;

let text = '';
let secondMs = Number.NaN;

/** The time as the `Date` header tells it (RFC 9110), made once a second. */
export function httpDate(nowMs = Date.now()): string {
  const current = nowMs - (nowMs % VALID_MS);
  if (current !== secondMs) {
    secondMs = current;
    text = new Date(current).toUTCString();
  }
  return text;
}
