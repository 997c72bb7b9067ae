/** Throws what one of several has thrown as if it had been alone: after the others have had their turn. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
