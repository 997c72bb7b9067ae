/**
 * Has glibc give the system back what it keeps between pieces that are in use: after a load that is most of what the process has beside V8's heap.
 * Takes some milliseconds. Does nothing where there is no glibc.
 */
export async function mallocTrim(): Promise<void> {
  trim ??= await findTrim();
  trim(0);
}

type Trim = (keepBytes: number) => number;

let trim: Trim | undefined;

/** Source: malloc_trim(3). */
async function findTrim(): Promise<Trim> {
  if (process.platform !== 'linux') return () => 0;
  try {
    const { default: koffi } = await import('koffi');
    return koffi.load('libc.so.6').func('int malloc_trim(size_t)') as Trim;
  } catch {
    return () => 0;
  }
}
