/** The calendar day and month in UTC, by number, and what is left of them. */
export interface Periods {
  /** Since 1970-01-01. */
  readonly day: number;
  /** Since January of the year 0. */
  readonly month: number;
  readonly dayLeftMs: number;
  readonly monthLeftMs: number;
}

export const DAY_MS = 86_400_000;

export function periodsAt(wallMs: number): Periods {
  const date = new Date(wallMs);
  const day = Math.floor(wallMs / DAY_MS);
  const monthEndsMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
  return {
    day,
    month: date.getUTCFullYear() * 12 + date.getUTCMonth(),
    dayLeftMs: (day + 1) * DAY_MS - wallMs,
    monthLeftMs: monthEndsMs - wallMs,
  };
}
