/** The iterator's `return` calls `stop`, also before the first `next` and while a `next` is pending. */
export function stoppable<T>(source: AsyncGenerator<T, void, void>, stop: () => void): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => source.next(),
      return: () => {
        stop();
        return source.return();
      },
    }),
  };
}
