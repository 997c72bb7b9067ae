/** One request on its way in. */
export interface Incoming {
  /** As it was sent: the path, and the query if there is one. */
  readonly url: string;
  /** @param name In lower case. */
  header(name: string): string | undefined;
  /**
   * The whole body, at once where it has come already. To be asked for once.
   *
   * @throws AppError `body_too_large` as soon as that is known, `client_closed`
   */
  body(maxBytes: number): Buffer | Promise<Buffer>;
  /** Nobody needs the body any more; its memory may serve another one. */
  release(): void;
  /** Lets go of the body. @param ended Called once all of it has been sent, or the client has left. */
  discard(ended: () => void): void;
}
