import type { DatabaseLocation } from '../store/location.ts';
import type { Owner } from './owner.ts';

export interface WriterStart {
  readonly location: DatabaseLocation;
  readonly dir: string;
  readonly owner: Owner;
}

/** `flush`: bring in now what is there. `finish`: the journal gets nothing more; bring it in, and end. */
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
  | { readonly type: 'finished' };
