/** Tries the provider that its argument describes, and prints a `ProbeOutcome`. */
import { OnnxGraph } from '../graph/onnx-graph.ts';
import { chooseOrtLibrary } from './library.ts';
import { pinned } from './pinned.ts';
import { ProviderError } from './provider-error.ts';
import type { ProbeOutcome } from './provider-probe.ts';
import { asProviderError, requireLibraries, thisMachine } from './provider-requirements.ts';
import type { Provider } from './providers.ts';
import { OrtSession } from './session.ts';

function main(provider: Provider): ProbeOutcome {
  const { libraryFolder } = provider.options;
  try {
    if (libraryFolder !== undefined) chooseOrtLibrary(libraryFolder);
    requireLibraries(provider, thisMachine());
    square(provider);
    return { works: true };
  } catch (error) {
    const { missing, remedy } =
      error instanceof ProviderError ? error : asProviderError(provider.name, error as Error);
    return { works: false, missing, remedy };
  }
}

/** Multiplies [1, 2, 3, 4] with itself on the provider. */
function square(provider: Provider): void {
  const graph = new OnnxGraph();
  graph.input('x', 'float32', [4]);
  graph.output('y', 'float32', [4]);
  graph.node('Mul', ['x', 'x'], ['y']);
  const session = new OrtSession(graph.serialise(), { threads: 1, spinning: false, provider });
  const onCpu = session.operatorsOnCpu();
  // CoreML leaves graphs as small as this one to the CPU.
  if (onCpu.size > 0 && provider.name !== 'coreml')
    throw new Error('it loads, but leaves a multiplication to the CPU');
  const [x, y] = [pinned(Float32Array, 4), pinned(Float32Array, 4)];
  x.set([1, 2, 3, 4]);
  const [input, output] = [session.tensor(x, [4]), session.tensor(y, [4])];
  session.run(session.bind(new Map([['x', input]]), new Map([['y', output]])));
  if (y.join() !== '1,4,9,16')
    throw new Error(`it computes wrongly: the squares of 1 to 4 are ${y.join(', ')}`);
}

process.stdout.write(JSON.stringify(main(JSON.parse(process.argv[2]!) as Provider)), () => process.exit(0));
