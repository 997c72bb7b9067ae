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
  'It comes with ONNX Runtime for CUDA: install the Python package onnxruntime-gpu 1.24 or newer anywhere, and name its folder onnxruntime/capi as `libraryFolder` under `providerOptions`.';
const NVIDIA_DRIVER =
  "Install NVIDIA's driver; a container needs `--gpus all` and the NVIDIA container toolkit.";
const CUDA_LIBRARIES =
  'Install the CUDA (of the version that the name ends in) and the cuDNN that this ONNX Runtime was built for, and name their folders in LD_LIBRARY_PATH under `environment` of the engine.';
const TENSORRT_LIBRARIES =
  'Install TensorRT (of the version that the name ends in), and name its folder in LD_LIBRARY_PATH under `environment` of the engine.';
const VULKAN_LOADER =
  "Install the Vulkan loader (Debian: libvulkan1) and the GPU's driver (mesa-vulkan-drivers, or NVIDIA's).";

/** Libraries of drivers that a provider loads by name, and what brings them. Of others ONNX Runtime says itself what is missing. */
const LIBRARIES: Partial<Record<ProviderName, readonly (readonly [library: string, remedy: string])[]>> = {
  cuda: [['libcuda.so.1', NVIDIA_DRIVER]],
  tensorrt: [['libcuda.so.1', NVIDIA_DRIVER]],
  webgpu: [['libvulkan.so.1', VULKAN_LOADER]],
};

/** Parts of ONNX Runtime that are files of their own. */
const OWN_FILES: Partial<Record<ProviderName, readonly string[]>> = {
  cuda: ['providers_shared', 'providers_cuda'],
  tensorrt: ['providers_shared', 'providers_cuda', 'providers_tensorrt'],
};

/** Throws ProviderError when options are not the provider's, or when a part of ONNX Runtime that it needs is not installed. Loads nothing. */
export function requireInstalled({ name, options }: Provider, machine: Machine): void {
  const { platform, arch } = machine;
  const { libraryFolder = machine.libraryFolder } = options;
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

/** The library that ONNX Runtime's log complains of: its refusal only says that there is one. */
export function asMissingLibrary(name: ProviderName, log: string): ProviderError | undefined {
  const [, library] = /with error: (\S+): cannot open shared object file/.exec(log) ?? [];
  if (library === undefined) return undefined;
  const remedy = /^libnv(infer|onnxparser)/.test(library) ? TENSORRT_LIBRARIES : CUDA_LIBRARIES;
  return new ProviderError(name, `${library} cannot be loaded (no such file)`, remedy);
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
