/** One thing that was looked at. */
export interface Check {
  readonly section: 'machine' | 'configuration' | 'local models' | 'upstreams';
  readonly name: string;
  /** `warning`: it will do, but not as well as it could. */
  readonly status: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
  /** The figures behind `detail`, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** Says what is being done: some of it takes seconds. */
export type Progress = (text: string) => void;
