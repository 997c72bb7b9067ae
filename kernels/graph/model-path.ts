import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readGguf } from '../gguf/reader.ts';
import { weightFiles } from '../safetensors/checkpoint.ts';
import type { DecoderSource } from './decoder-source.ts';
import { ggufSource } from './gguf-source.ts';
import { CONFIG_FILE, huggingFaceSource } from './hugging-face-source.ts';

/** The decoder at a path: a GGUF file, or a Hugging Face model directory. Throws ModelFileError. */
export function readDecoderSource(modelPath: string): DecoderSource {
  return isDirectory(modelPath) ? huggingFaceSource(modelPath) : ggufSource(readGguf(modelPath));
}

/** The files that a graph is built from: when one of them changes, the graph has to be built again. */
export function decoderFiles(modelPath: string): readonly string[] {
  return isDirectory(modelPath) ? [join(modelPath, CONFIG_FILE), ...weightFiles(modelPath)] : [modelPath];
}

/** A name for what is made of the model. */
export function modelStem(modelPath: string): string {
  return basename(modelPath).replace(/\.gguf$/i, '');
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
