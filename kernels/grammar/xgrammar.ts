import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';

/** A C++ object; memory that the garbage collector does not see. */
export interface NativeHandle {
  delete(): void;
}

interface NativeVector extends NativeHandle {
  size(): number;
}

export interface NativeMatcher extends NativeHandle {
  AcceptToken(token: number, verbose: boolean): boolean;
  GetNextTokenBitmask(vocabularySize: number): NativeVector;
  IsTerminated(): boolean;
}

export interface NativeCompiler extends NativeHandle {
  CompileGrammar(grammar: NativeHandle): NativeHandle;
}

/** The part of xgrammar's WebAssembly module that is used. What fails there aborts: the instance must not be used again. */
export interface Xgrammar {
  readonly HEAP8: Int8Array;
  readonly Grammar: { FromEBNF(text: string, rootRule: string): NativeHandle };
  readonly TokenizerInfo: new (
    vocabulary: NativeVector,
    type: 'RAW',
    vocabularySize: number,
    stopTokens: NativeVector,
    prependSpace: boolean,
  ) => NativeHandle;
  readonly GrammarCompiler: new (info: NativeHandle, threads: number, caches: boolean) => NativeCompiler;
  readonly GrammarMatcher: new (
    grammar: NativeHandle,
    stopTokens: undefined,
    endsWithoutStopToken: boolean,
    rollbackTokens: number,
  ) => NativeMatcher;
  vecStringFromJSArray(values: readonly Uint8Array[]): NativeVector;
  vecIntFromJSArray(values: readonly number[]): NativeVector;
  /** Into the module's memory: gone with the next call. */
  vecIntToView(vector: NativeVector): Int32Array;
}

interface ModuleOptions {
  readonly print: (line: string) => void;
  readonly printErr: (line: string) => void;
}

type Factory = (options: ModuleOptions) => Promise<Xgrammar>;

/** Where the package exports its own wrapper, which is asynchronous throughout and hides the module's memory. */
const WRAPPER_EXPORT = 'exports.TokenizerInfo = TokenizerInfo;';

let factory: Factory | undefined;

/**
 * A new instance with memory of its own. `onError` gets the lines it writes before it aborts.
 *
 * The package is UMD in a package marked `type: module`, which Node can load neither way: its file is compiled as CommonJS
 * by hand. It exports only a wrapper; the module's own factory is exported in place of one of its classes.
 */
export function createXgrammar(onError: (line: string) => void): Promise<Xgrammar> {
  factory ??= loadFactory();
  return factory({ print: () => {}, printErr: onError });
}

function loadFactory(): Factory {
  const path = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar');
  const source = readFileSync(path, 'utf8');
  if (source.split(WRAPPER_EXPORT).length !== 2)
    throw new Error('This version of @mlc-ai/web-xgrammar is not the one that was tested.');
  const loaded = new Module(path);
  loaded.filename = path;
  (loaded as Module & { _compile(source: string, path: string): void })._compile(
    source.replace(WRAPPER_EXPORT, 'exports.createXgrammar = Module;'),
    path,
  );
  return (loaded.exports as { createXgrammar: Factory }).createXgrammar;
}
