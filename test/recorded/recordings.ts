import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIRECTORY = fileURLToPath(new URL('./vllm-0.32', import.meta.url));

export interface Recording {
  readonly name: string;
  readonly status: number;
  readonly stream: boolean;
  readonly path: string;
  /** The request's body. */
  readonly request: Readonly<Record<string, unknown>>;
  /** The response's body, as it came. */
  readonly bytes: Buffer;
}

/** What a real vLLM answered; see README.md beside. */
export function recordings(): Recording[] {
  return readdirSync(DIRECTORY)
    .filter((file) => /\.\d{3}\.(?:sse|body)$/.test(file))
    .map((file) => {
      const [name = '', status, ending] = file.split('.');
      const asked = JSON.parse(readFileSync(join(DIRECTORY, `${name}.request.json`), 'utf8'));
      return {
        name,
        status: Number(status),
        stream: ending === 'sse',
        path: asked.path,
        request: asked.body,
        bytes: readFileSync(join(DIRECTORY, file)),
      };
    });
}

export function recording(name: string): Recording {
  const found = recordings().find((r) => r.name === name);
  if (found === undefined) throw new Error(`no recording ${name}`);
  return found;
}
