import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../../config/schema.ts';
import { Drain } from './drain.ts';
import { type Answers, createHttpServer, limitTimes, listen } from './http-server.ts';

/** The server that clients meet. What it answers, and its limits, follow the configuration; its connections stay. */
export class HttpFront {
  readonly #answersUnder: (config: Config) => Answers;
  readonly #server: Server;
  readonly #drain: Drain;
  #config: Config;
  #answers: Answers;

  constructor(config: Config, answersUnder: (config: Config) => Answers) {
    this.#answersUnder = answersUnder;
    this.#config = config;
    this.#answers = answersUnder(config);
    const { server, plain } = createHttpServer(
      {
        takes: (path) => this.#answers.takes(path),
        answer: (path, incoming, client) => this.#answers.answer(path, incoming, client),
        serve: (incoming, outgoing) => this.#answers.serve(incoming, outgoing),
      },
      () => this.#config,
    );
    this.#server = server;
    this.#drain = new Drain(server, plain);
  }

  /** Holds from the next request on. */
  configure(config: Config): void {
    this.#config = config;
    this.#answers = this.#answersUnder(config);
    limitTimes(this.#server, config);
  }

  /**
   * @param onError Told of connections that cannot be accepted later on.
   * @throws Error that names the remedy, if the address cannot be bound
   */
  listen(onError: (error: Error) => void): Promise<void> {
    return listen(this.#server, this.#config, onError);
  }

  /** Once it listens. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Takes no more connections. Resolves to whether all that there were have ended by themselves. May be called again. */
  drain(timeoutMs: number): Promise<boolean> {
    return this.#drain.run(timeoutMs);
  }

  /** Ends all connections at once. */
  end(): Promise<void> {
    return this.#drain.end();
  }
}
