/**
 * Digits of whole numbers of a range, as an expression of the grammar's notation. With `decimals` the last so many digits stand
 * behind a point: 25 with one decimal is "2.5". Bounds are inclusive and not negative. Undefined: the range is empty.
 */
function digitRange(from: bigint, to: bigint, decimals: number): string | undefined {
  if (from > to) return undefined;
  const alternatives: string[] = [];
  const fewest = decimals + 1;
  const most = Math.max(fewest, String(to).length);
  // Lengths for which every number is in the range become one alternative.
  let whole: { from: number; to: number } | undefined;
  for (let length = fewest; length <= most; length++) {
    const least = length === fewest ? 0n : 10n ** BigInt(length - 1);
    const greatest = 10n ** BigInt(length) - 1n;
    const low = from > least ? from : least;
    const high = to < greatest ? to : greatest;
    if (low > high) continue;
    if (length > fewest && low === least && high === greatest) {
      whole = { from: whole?.from ?? length, to: length };
      continue;
    }
    const digits = (value: bigint) => String(value).padStart(length, '0');
    alternatives.push(sameLength(digits(low), digits(high), length - decimals));
  }
  if (whole !== undefined) {
    const before = `[1-9] [0-9]{${whole.from - decimals - 1},${whole.to - decimals - 1}}`;
    alternatives.push(decimals === 0 ? before : `${before} "." [0-9]{${decimals}}`);
  }
  return alternatives.length === 0 ? undefined : `(${alternatives.join(' | ')})`;
}

/** Both of one length; `point`: digits left before the point. */
function sameLength(low: string, high: string, point: number): string {
  if (low === '') return '""';
  const dot = point === 0 ? '"." ' : '';
  if (/^0*$/.test(low) && /^9*$/.test(high)) return `${dot}${anyDigits(low.length, dot === '' ? point : 0)}`;
  const first = low[0]!;
  const last = high[0]!;
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  const next = dot === '' ? point - 1 : -1;
  if (first === last) return `${dot}"${first}" ${sameLength(lowRest, highRest, next)}`;
  const zeros = '0'.repeat(lowRest.length);
  const nines = '9'.repeat(lowRest.length);
  const alternatives: string[] = [];
  let from = Number(first);
  let to = Number(last);
  if (lowRest !== zeros) alternatives.push(`"${from++}" ${sameLength(lowRest, nines, next)}`);
  if (highRest !== nines) alternatives.push(`"${to--}" ${sameLength(zeros, highRest, next)}`);
  if (from <= to) alternatives.push(`[${from}-${to}] ${sameLength(zeros, nines, next)}`);
  return `${dot}(${alternatives.join(' | ')})`;
}

function anyDigits(length: number, point: number): string {
  if (point <= 0 || point >= length) return repeated(length);
  return `${repeated(point)} "." ${repeated(length - point)}`;
}

function repeated(length: number): string {
  return length === 0 ? '""' : length === 1 ? '[0-9]' : `[0-9]{${length}}`;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
  /** The bounds themselves are not allowed. */
  readonly aboveMin: boolean;
  readonly belowMax: boolean;
}

/** Without a bound, numbers stay below this: every double there is exact to its digits. */
const LARGEST = 10n ** 15n - 1n;

const FEWEST_STEPS = 20;
const MOST_DECIMALS = 15;

/** JSON integers within the bounds; undefined if there are none. */
export function integerGrammar(bounds: Bounds): string | undefined {
  return signed(bounds, 0);
}

/** JSON numbers within the bounds: whole ones, and some with enough decimals for there to be a choice. */
export function numberGrammar(bounds: Bounds): string | undefined {
  const magnitude = Math.max(...[bounds.min, bounds.max].filter(Number.isFinite).map(Math.abs), 1);
  const width = Math.min(bounds.max, 1e9) - Math.max(bounds.min, -1e9);
  let decimals = 2;
  // Not so many that doubles are coarser than the last one.
  while (
    decimals < MOST_DECIMALS &&
    width * 10 ** decimals < FEWEST_STEPS &&
    magnitude * 10 ** decimals < Number(LARGEST)
  )
    decimals++;
  const options = [signed(bounds, 0), signed(bounds, decimals)].filter((o) => o !== undefined);
  return options.length === 0 ? undefined : `(${options.join(' | ')})`;
}

function signed(bounds: Bounds, decimals: number): string | undefined {
  if (bounds.min > Number(LARGEST) || bounds.max < -Number(LARGEST)) return undefined;
  const low = lowest(bounds, decimals);
  const high = highest(bounds, decimals);
  const positive = digitRange(low > 0n ? low : 0n, high, decimals);
  const negative = low < 0n ? digitRange(high < 0n ? -high : 1n, -low, decimals) : undefined;
  const options = [positive, negative === undefined ? undefined : `"-" ${negative}`].filter(
    (o) => o !== undefined,
  );
  return options.length === 0 ? undefined : `(${options.join(' | ')})`;
}

/** The least m for which m / 10^decimals is allowed. */
function lowest({ min, aboveMin }: Bounds, decimals: number): bigint {
  const limit = -LARGEST;
  if (!(min > Number(limit) / 10 ** decimals)) return limit;
  let m = BigInt(Math.floor(min * 10 ** decimals)) - 1n;
  while (!(aboveMin ? asNumber(m, decimals) > min : asNumber(m, decimals) >= min)) m++;
  return m;
}

function highest({ max, belowMax }: Bounds, decimals: number): bigint {
  if (!(max < Number(LARGEST) / 10 ** decimals)) return LARGEST;
  let m = BigInt(Math.ceil(max * 10 ** decimals)) + 1n;
  while (!(belowMax ? asNumber(m, decimals) < max : asNumber(m, decimals) <= max)) m--;
  return m;
}

/** As a JSON parser reads it. */
function asNumber(m: bigint, decimals: number): number {
  return Number(`${m}e-${decimals}`);
}
