import type { ClientReply } from './client-reply.ts';

/** The same reply as a web `Response`. */
export class WebReply implements ClientReply {
  readonly response: Promise<Response>;
  started = false;
  readonly #gone = new AbortController();
  readonly #respond: (response: Response) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wake: (() => void) | undefined;

  constructor(clientSignal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#respond = resolve;
    clientSignal.addEventListener('abort', () => this.#leave(), { once: true });
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  start(status: number, headers: Readonly<Record<string, string>>): void {
    this.started = true;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#wake?.(),
      cancel: () => this.#leave(),
    });
    this.#respond(new Response(body, { status, headers }));
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.signal.aborted || !this.#controller) return false;
    this.#controller.enqueue(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
    return (this.#controller.desiredSize ?? 0) > 0;
  }

  drained(): Promise<void> {
    if (this.signal.aborted || (this.#controller?.desiredSize ?? 1) > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  end(chunk?: Uint8Array | string): void {
    if (chunk !== undefined) this.write(chunk);
    if (!this.signal.aborted) this.#controller?.close();
    this.#controller = undefined;
  }

  destroy(): void {
    this.#controller?.error(new Error('the reply broke off'));
    this.#controller = undefined;
  }

  #leave(): void {
    if (this.#controller === undefined && this.started) return;
    this.#gone.abort();
    this.#wake?.();
  }
}
