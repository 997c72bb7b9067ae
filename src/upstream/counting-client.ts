import { Client, type Dispatcher } from 'undici';
import { Exchange } from './exchange.ts';

/** A connection of the pool that tells its exchanges whether it has served before, so that a stale one can be known. */
export class CountingClient extends Client {
  requestsOnConnection = 0;

  constructor(origin: URL, options: Client.Options) {
    super(origin, options);
    this.on('connect', () => {
      this.requestsOnConnection = 0;
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Exchange) handler.carrier = this;
    return super.dispatch(options, handler);
  }
}
