import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { ortLibraryFolder } from './library.ts';
import { ProviderError } from './provider-error.ts';
import { type Provider, type ProviderName, TRAITS } from './providers.ts';

/** The machine as the requirements see it; tests bring their own. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Where ONNX Runtime's library is. */
  readonly libraryFolder: string;
  readonly exists: (path: string) => boolean;
  /** Loads a library by the rules of the system. Undefined, or why it cannot be. */
  readonly load: (library: string) => string | undefined;
  /** There is a device that may be a GPU. */
  readonly hasGpu: () => boolean;
}

/** Whoever unloads a driver's library may crash later. */
const loaded: LibraryHandle[] = [];

export function thisMachine(): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    libraryFolder: ortLibraryFolder(),
    exists: existsSync,
    load: (library) => {
      try {
        loaded.push(koffi.load(library));
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
    hasGpu: hasGpuDevice,
  };
}

/** Render nodes, NVIDIA's own devices, and WSL's; other systems show none, so that only trying tells. */
function hasGpuDevice(): boolean {
  if (process.platform !== 'linux') return true;
  const names = (folder: string) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  return (
    names('/dev/dri').some((name) => name.startsWith('renderD')) ||
    names('/dev').some((name) => /^nvidia\d|^dxg$/.test(name))
  );
}

const ANOTHER = 'Choose another provider, or `auto`.';
const INSTALL_CUDA =
  'It comes with ONNX Runtime for CUDA 12: install onnxruntime-node on a machine with CUDA, with ONNXRUNTIME_NODE_INSTALL=cuda12 in the environment.';
const NVIDIA_DRIVER =
  "Install NVIDIA's driver; a container needs `--gpus all` and the NVIDIA container toolkit.";
const CUDA_LIBRARIES =
  'Install CUDA 12 and cuDNN 9, and name their folder in LD_LIBRARY_PATH under `environment` of the engine.';
const TENSORRT_LIBRARIES =
  'Install TensorRT 10, and name its folder in LD_LIBRARY_PATH under `environment` of the engine.';
const VULKAN_LOADER =
  "Install the Vulkan loader (Debian: libvulkan1) and the GPU's driver (mesa-vulkan-drivers, or NVIDIA's).";

/** Libraries that a provider loads by name, and what brings them, in the order in which they are needed. */
const LIBRARIES: Partial<Record<ProviderName, readonly (readonly [library: string, remedy: string])[]>> = {
  cuda: [
    ['libcuda.so.1', NVIDIA_DRIVER],
    ['libcublasLt.so.12', CUDA_LIBRARIES],
    ['libcudart.so.12', CUDA_LIBRARIES],
    ['libcudnn.so.9', CUDA_LIBRARIES],
  ],
  tensorrt: [
    ['libcuda.so.1', NVIDIA_DRIVER],
    ['libcudart.so.12', CUDA_LIBRARIES],
    ['libnvinfer.so.10', TENSORRT_LIBRARIES],
  ],
  webgpu: [['libvulkan.so.1', VULKAN_LOADER]],
};

/** Parts of ONNX Runtime that are files of their own. */
const OWN_FILES: Partial<Record<ProviderName, readonly string[]>> = {
  cuda: ['providers_shared', 'providers_cuda'],
  tensorrt: ['providers_shared', 'providers_cuda', 'providers_tensorrt'],
};

/** Throws ProviderError when options are not the provider's, or when a part of ONNX Runtime that it needs is not installed. Loads nothing. */
export function requireInstalled({ name, options }: Provider, machine: Machine): void {
  const { platform, arch, libraryFolder } = machine;
  const { platforms, takes } = TRAITS[name];
  if (!platforms.includes(platform))
    throw new ProviderError(
      name,
      `it exists on ${platforms.join(' and ')}, and this is ${platform} ${arch}`,
      ANOTHER,
    );
  for (const option of ['deviceId', 'memoryLimitBytes'] as const)
    if (options[option] !== undefined && !takes.includes(option))
      throw new ProviderError(name, `it has no ${option}`, 'Leave the option out.');
  for (const part of OWN_FILES[name] ?? []) {
    const file = platform === 'win32' ? `onnxruntime_${part}.dll` : `libonnxruntime_${part}.so`;
    if (!machine.exists(join(libraryFolder, file)))
      throw new ProviderError(name, `${file} is not beside ONNX Runtime in ${libraryFolder}`, INSTALL_CUDA);
  }
}

/** Throws ProviderError when a library that the provider needs cannot be loaded. To be called where a crash does no harm. */
export function requireLibraries({ name }: Provider, machine: Machine): void {
  if (machine.platform !== 'linux') return;
  for (const [library, remedy] of LIBRARIES[name] ?? []) {
    const problem = machine.load(library);
    if (problem !== undefined)
      throw new ProviderError(name, `${library} cannot be loaded (${problem})`, remedy);
  }
}

/** What ONNX Runtime's refusal means. */
export function asProviderError(name: ProviderName, error: Error): ProviderError {
  const [firstLine = ''] = error.message.split('\n');
  const message = firstLine.replace(/^.*? was false\. /, '').replace(/[.\s]+$/, '');
  if (/not supported in this build|not enabled in this build/i.test(message))
    return new ProviderError(
      name,
      `ONNX Runtime for ${process.platform} ${process.arch} was built without it`,
      ANOTHER,
      { cause: error },
    );
  const remedy = /adapter/i.test(message) ? NO_ADAPTER : ANOTHER;
  return new ProviderError(name, `ONNX Runtime says: ${message}`, remedy, { cause: error });
}

const NO_ADAPTER =
  "No GPU's driver answers: install the one for Vulkan, give the process access to the device (/dev/dri; in a container too), or name the driver in VK_ICD_FILENAMES under `environment` of the engine.";
