import type { DatabaseLocation } from '../store/location.ts';
import type { Offsets } from './segment.ts';

export interface WriterStart {
  readonly location: DatabaseLocation;
  readonly dir: string;
  /** The journal that is ours. */
  readonly journal: string;
  /** Of our own: what is in the database already. */
  readonly read: Offsets;
}

/**
 * `flush`: bring in now what is there, also what others have left. `rest`: there is nothing to do for now; end. `finish`: the journal gets nothing
 * more; bring it in, and end.
 */
export type ToWriter =
  | { readonly type: 'flush'; readonly id: number }
  | { readonly type: 'rest' }
  | { readonly type: 'finish' };

/** What is in no sum, and somebody has to look at. */
export interface LedgerLosses {
  /** Writes to a journal, of one request or several, that a disk has broken; since the start. */
  readonly broken: number;
  /** Rows that the database will not take; since the start. */
  readonly refused: number;
  /** Where they are, and those from before; undefined: there are none. */
  readonly refusedPath: string | undefined;
}

export type FromWriter =
  | { readonly type: 'flushed'; readonly id: number; readonly problem: string | undefined }
  /** After every pass. */
  | {
      readonly type: 'passed';
      /** Why rows wait. */
      readonly problem: string | undefined;
      readonly backlogBytes: number;
      readonly losses: LedgerLosses;
    }
  | { readonly type: 'rested'; readonly read: Offsets }
  /** `empty`: nothing is left of our own journal. */
  | { readonly type: 'finished'; readonly empty: boolean };
