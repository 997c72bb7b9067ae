import type { DatabaseLocation } from '../store/location.ts';

export interface WriterStart {
  readonly location: DatabaseLocation;
  readonly dir: string;
  /** The journal that is ours. */
  readonly journal: string;
}

/** `flush`: bring in now what is there, also what others have left. `finish`: the journal gets nothing more; bring it in, and end. */
export type ToWriter = { readonly type: 'flush'; readonly id: number } | { readonly type: 'finish' };

export type FromWriter =
  | { readonly type: 'flushed'; readonly id: number; readonly problem: string | undefined }
  /** After every pass. `problem`: why rows wait. */
  | {
      readonly type: 'passed';
      readonly problem: string | undefined;
      readonly backlogBytes: number;
      readonly broken: number;
    }
  /** `empty`: nothing is left of our own journal. */
  | { readonly type: 'finished'; readonly empty: boolean };
