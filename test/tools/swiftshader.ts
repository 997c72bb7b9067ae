import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE_DIR } from '../model-file.ts';

/** Where `.ci/run` unpacks it, and where Debian's package chromium-common has it. */
const FOLDERS = [join(CACHE_DIR, 'tools', 'swiftshader'), '/usr/lib/chromium'];

export interface SwiftShader {
  /** Vulkan's loader; Chromium brings its own. */
  readonly loader: string;
  /** For the environment of a process that is to find both. */
  readonly environment: Readonly<Record<string, string>>;
}

/** SwiftShader, a Vulkan driver that computes on the CPU, or undefined where it is not to be had. */
export function swiftShader(): SwiftShader | undefined {
  const folder = FOLDERS.find((each) => existsSync(join(each, 'vk_swiftshader_icd.json')));
  if (folder === undefined) return undefined;
  return {
    loader: join(folder, 'libvulkan.so.1'),
    environment: { VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: folder },
  };
}
