import koffi, { type LibraryHandle } from 'koffi';
import { chooseOrtLibrary } from '../../kernels/ort/library.ts';
import type { Provider } from '../../kernels/ort/providers.ts';
import { swiftShader } from '../tools/swiftshader.ts';

/** What tests of providers compute on. */
export interface TestDevice {
  readonly provider: Provider & { readonly name: 'webgpu' | 'cuda' };
  /** For the environment of a process that is to use it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Vulkan's loader, where the system would not find it by its name. */
  readonly loader?: string;
  /** How far logits of one graph may lie from the CPU's, and from one another when computed in other pieces. */
  readonly nearness: { readonly toCpu: number; readonly toItself: number };
}

/** A library whose handle is collected is unloaded, and then not found by its name any more. */
const loaded: LibraryHandle[] = [];

const VARIABLES = ['LD_LIBRARY_PATH', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'CUDA_VISIBLE_DEVICES'];

/**
 * The GPU of this machine where QIANMEN_TEST_PROVIDER names its provider (and QIANMEN_TEST_LIBRARY the folder of an ONNX Runtime that
 * has it); else SwiftShader, or undefined where that is not to be had.
 */
export function testDevice(): TestDevice | undefined {
  const { QIANMEN_TEST_PROVIDER: name, QIANMEN_TEST_LIBRARY: libraryFolder } = process.env;
  if (name !== 'webgpu' && name !== 'cuda') return onSwiftShader();
  const given = VARIABLES.flatMap((each) =>
    process.env[each] === undefined ? [] : [[each, process.env[each]]],
  );
  return {
    provider: { name, options: { libraryFolder } },
    environment: Object.fromEntries(given),
    // CUDA multiplies in TF32, and keeps keys and values in half precision.
    nearness: name === 'cuda' ? { toCpu: 2e-2, toItself: 2e-2 } : { toCpu: 1e-4, toItself: 1e-4 },
  };
}

function onSwiftShader(): TestDevice | undefined {
  const driver = swiftShader();
  return (
    driver && {
      provider: { name: 'webgpu', options: {} },
      nearness: { toCpu: 1e-4, toItself: 1e-5 },
      ...driver,
    }
  );
}

/** Has this process find the device. */
export function useTestDevice({ provider, environment, loader }: TestDevice): void {
  // ONNX Runtime finds the loader by its name once it is in the process.
  if (loader !== undefined) loaded.push(koffi.load(loader));
  if (provider.options.libraryFolder !== undefined) chooseOrtLibrary(provider.options.libraryFolder);
  Object.assign(process.env, environment);
}
