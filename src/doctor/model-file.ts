import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readGguf } from '../../kernels/gguf/reader.ts';
import { sizeText } from '../local/memory-estimate.ts';

/** What a model's file, or directory, is: in words, or why it is none. */
export function describeFile(
  path: string,
):
  | { readonly text: string; readonly problem?: undefined }
  | { readonly problem: string; readonly text?: undefined } {
  try {
    accessSync(path, constants.R_OK);
    if (!statSync(path).isDirectory())
      return { text: `${path}, ${sizeText(statSync(path).size)}, ${mostUsedType(path)}` };
    const bytes = readdirSync(path, { recursive: true, encoding: 'utf8' }).reduce(
      (sum, name) => sum + statSync(join(path, name)).size,
      0,
    );
    return { text: `${path}, ${sizeText(bytes)}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { problem: code === 'ENOENT' ? `there is no ${path}` : message };
  }
}

/** The quantisation that most of the weights have. */
function mostUsedType(path: string): string {
  const bytes = new Map<string, number>();
  for (const { type, sizeBytes } of readGguf(path).tensors.values())
    bytes.set(type, (bytes.get(type) ?? 0) + sizeBytes);
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'no weights';
}
