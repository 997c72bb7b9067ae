import { megabytes } from './disk.ts';
import type { FetchProgress } from './source.ts';

const TTY_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;
/** The rate is taken over this much of the past. */
const RATE_WINDOW_MS = 5_000;
const MAX_BAR_WIDTH = 24;
const MIN_BAR_WIDTH = 6;

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressRenderer {
  update(progress: FetchProgress): void;
  /** Ends the bar's line, so that other output starts on a new one. */
  end(): void;
}

/**
 * Shows a fetch to a person: one line redrawn in place on a terminal; elsewhere (logs, CI) a plain line at every new phase and
 * every 5 s within one. `now` is in milliseconds.
 */
export function renderProgress(output: ProgressOutput, now: () => number = Date.now): ProgressRenderer {
  const tty = output.isTTY === true;
  let samples: { atMs: number; bytes: number }[] = [];
  let phase = '';
  let shownAtMs = Number.NEGATIVE_INFINITY;
  let drawn = false;

  return {
    update(progress) {
      const atMs = now();
      const nextPhase = `${progress.phase} ${progress.source}`;
      const entered = nextPhase !== phase;
      if (entered) samples = [];
      phase = nextPhase;
      samples.push({ atMs, bytes: progress.receivedBytes });
      while (samples.length > 2 && atMs - samples[0]!.atMs > RATE_WINDOW_MS) samples.shift();
      const complete = progress.receivedBytes === progress.totalBytes;
      const due = atMs - shownAtMs >= (tty ? TTY_INTERVAL_MS : LINE_INTERVAL_MS);
      if (!entered && !due && !(tty && complete)) return;
      shownAtMs = atMs;
      const { label, figures, share } = describe(progress, bytesPerSecond(samples));
      if (tty) {
        const columns = (output.columns ?? 80) - 1;
        const room = columns - label.length - figures.length - 6;
        const parts = [label, ...(share === undefined ? [] : bar(share, room)), figures];
        output.write(`\r${parts.join('  ').trimEnd().slice(0, columns)}\x1b[K`);
      } else output.write(`${`${label}  ${figures}`.trimEnd()}\n`);
      drawn = true;
    },
    end() {
      if (tty && drawn) output.write('\n');
      drawn = false;
    },
  };
}

function bytesPerSecond(samples: readonly { atMs: number; bytes: number }[]): number | undefined {
  const first = samples[0]!;
  const last = samples.at(-1)!;
  const elapsedMs = last.atMs - first.atMs;
  return elapsedMs >= 200 ? ((last.bytes - first.bytes) * 1000) / elapsedMs : undefined;
}

interface Description {
  readonly label: string;
  readonly figures: string;
  /** 0 to 1; undefined where the size is not known or means nothing. */
  readonly share: number | undefined;
}

function describe(progress: FetchProgress, rate: number | undefined): Description {
  const { model, phase, source, receivedBytes, totalBytes } = progress;
  if (phase === 'waiting')
    return { label: `${model}: another process is fetching it, waiting`, figures: '', share: undefined };
  if (phase === 'connecting') return { label: `${model}: asking ${source}`, figures: '', share: undefined };
  const label = phase === 'verifying' ? `${model}: checking` : `${model}: ${phase}, ${source}`;
  const known = totalBytes !== undefined && totalBytes > 0;
  const share = known ? Math.min(receivedBytes / totalBytes, 1) : undefined;
  const figures = known
    ? [`${Math.floor((share ?? 0) * 100)} %`, `${megabytes(receivedBytes)} of ${megabytes(totalBytes)}`]
    : [megabytes(receivedBytes)];
  if (rate !== undefined && rate > 0) {
    figures.push(`${megabytes(rate)}/s`);
    if (known && receivedBytes < totalBytes)
      figures.push(`${duration((totalBytes - receivedBytes) / rate)} left`);
  }
  return { label, figures: figures.join('  '), share };
}

/** As wide as there is room for; nothing where it would say nothing. */
function bar(share: number, room: number): string[] {
  const width = Math.min(MAX_BAR_WIDTH, room);
  if (width < MIN_BAR_WIDTH) return [];
  const full = Math.round(share * width);
  return [`[${'#'.repeat(full)}${'.'.repeat(width - full)}]`];
}

function duration(seconds: number): string {
  const s = Math.ceil(seconds);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}
