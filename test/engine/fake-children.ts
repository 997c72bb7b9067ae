import type { EngineInfo, FromEngine, ToEngine } from '../../src/engine/messages.ts';
import type { ModelProcess, ModelProcessEvents } from '../../src/model-process/model-process.ts';

export const FAKE_INFO: EngineInfo = {
  pid: 1,
  architecture: 'llama',
  vocabularySize: 10,
  layers: 1,
  contextTokens: 64,
  slots: 2,
  threads: 1,
  provider: 'cpu',
  providersPassedOver: [],
  prefixCacheBytes: 1_000,
  kvBytes: 0,
  chatTemplate: true,
  requantised: [],
  loadMs: 1,
  rssBytes: 1,
};

class FakeChild implements ModelProcess<ToEngine> {
  readonly pid = 1;
  readonly unreadBytes = 0;
  readonly sent: ToEngine[] = [];
  killed = false;
  readonly #events: ModelProcessEvents<FromEngine>;

  constructor(events: ModelProcessEvents<FromEngine>) {
    this.#events = events;
  }

  send(message: ToEngine): void {
    this.sent.push(message);
  }

  kill(): void {
    this.killed = true;
  }

  say: ModelProcessEvents<FromEngine>['onMessage'] = (message) => this.#events.onMessage(message);
  exit(detail = 'gone'): void {
    this.#events.onExit(detail);
  }

  ready(): void {
    this.say({ type: 'ready', info: FAKE_INFO });
  }

  sentOf<T extends ToEngine['type']>(type: T): Extract<ToEngine, { type: T }>[] {
    return this.sent.filter((m) => m.type === type) as Extract<ToEngine, { type: T }>[];
  }
}

/** Engine processes that do what a test says. */
export class FakeChildren {
  readonly all: FakeChild[] = [];

  readonly spawn = (events: ModelProcessEvents<FromEngine>): ModelProcess<ToEngine> => {
    const child = new FakeChild(events);
    this.all.push(child);
    return child;
  };

  get last(): FakeChild {
    return this.all.at(-1)!;
  }
}
