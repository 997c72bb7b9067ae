import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';

/**
 * Loaded once and referenced for the life of the process: koffi unloads a library whose handle was garbage-collected,
 * and every function pointer into it then leads nowhere.
 */
let loaded: { readonly library: LibraryHandle; readonly folder: string } | undefined;
let chosenFolder: string | undefined;

/** ONNX Runtime's library: the one that was chosen, or that of the onnxruntime-node package. */
export function ortLibrary(): LibraryHandle {
  if (loaded === undefined) {
    const folder = ortLibraryFolder();
    loaded = { library: koffi.load(libraryIn(folder)), folder };
  }
  return loaded.library;
}

/**
 * Has this process use the ONNX Runtime in a folder, such as one that was built for CUDA. Throws an Error when there is none, or
 * another is in use already: a process has one.
 */
export function chooseOrtLibrary(folder: string): void {
  const wanted = resolve(folder);
  libraryIn(wanted);
  if (loaded !== undefined && loaded.folder !== wanted)
    throw new Error(`ONNX Runtime of ${loaded.folder} is in use already, so that of ${wanted} cannot be`);
  chosenFolder = wanted;
}

/** Where it is, and the libraries of its providers. */
export function ortLibraryFolder(): string {
  if (chosenFolder !== undefined) return chosenFolder;
  const packagePath = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(packagePath), 'bin', 'napi-v6', process.platform, process.arch);
}

function libraryIn(folder: string): string {
  const pattern = LIBRARY_NAMES[process.platform];
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // Reported below, like a folder without the library.
  }
  const name = pattern && names.find((each) => pattern.test(each));
  if (name === undefined)
    throw new Error(`there is no ONNX Runtime for ${process.platform} ${process.arch} in ${folder}`);
  return join(folder, name);
}

const LIBRARY_NAMES: Readonly<Record<string, RegExp>> = {
  linux: /^libonnxruntime\.so(\.\d+)*$/,
  darwin: /^libonnxruntime(\.\d+)*\.dylib$/,
  win32: /^onnxruntime\.dll$/,
};
