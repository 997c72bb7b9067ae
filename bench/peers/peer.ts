/** One gateway under measurement. Each adapter installs it, and starts it as its documentation advises for production. */
export interface Peer {
  readonly name: string;
  /** For the report: what it is made of and how it was set up. */
  readonly setup: string;
  /** What it can take: the rate of the open loop, and how many paced streams at a time. */
  readonly openRatePerSecond: number;
  readonly pacedStreams: number;
  /**
   * Brings what is missing; quick when nothing is.
   * @throws Error with a reason that a reader of the report understands
   */
  install(): Promise<void>;
  version(): Promise<string>;
  start(options: StartOptions): Promise<Running>;
}

export interface StartOptions {
  /** A free loopback port to listen on, and one more for whatever else the peer insists on. */
  readonly port: number;
  readonly sparePort: number;
  /** Origin of the OpenAI-compatible server behind it, without /v1. */
  readonly upstreamUrl: string;
  /** Empty folder for configuration and logs. */
  readonly folder: string;
  readonly core: number;
}

export interface Running {
  /** The first process; its descendants count as the gateway too. */
  readonly pid: number;
  /** Where chat completions are posted. */
  readonly url: string;
  /** What a client must ask for. */
  readonly model: string;
  readonly headers: readonly string[];
  stop(): Promise<void>;
}

/** The model's name at the upstream. */
export const UPSTREAM_MODEL = 'fake-model';
