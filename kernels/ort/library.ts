import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';

/**
 * Loaded once and referenced for the life of the process: koffi unloads a library whose handle was garbage-collected,
 * and every function pointer into it then leads nowhere.
 */
let loaded: LibraryHandle | undefined;

/** The ONNX Runtime library that the onnxruntime-node package brings for this platform. */
export function ortLibrary(): LibraryHandle {
  loaded ??= koffi.load(ortLibraryPath());
  return loaded;
}

/** Where it is, and the libraries of its providers. */
export function ortLibraryFolder(): string {
  const packagePath = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(packagePath), 'bin', 'napi-v6', process.platform, process.arch);
}

function ortLibraryPath(): string {
  const folder = ortLibraryFolder();
  const pattern = LIBRARY_NAMES[process.platform];
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // Reported below, like a folder without the library.
  }
  const name = pattern && names.find((each) => pattern.test(each));
  if (name === undefined)
    throw new Error(`onnxruntime-node has no library for ${process.platform} ${process.arch}`);
  return join(folder, name);
}

const LIBRARY_NAMES: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so(\.\d+)*$/,
  darwin: /^libonnxruntime(\.\d+)*\.dylib$/,
  win32: /^onnxruntime\.dll$/,
};
