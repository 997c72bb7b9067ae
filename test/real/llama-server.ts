import { startServerProcess } from './server-process.ts';

/** Starts llama.cpp's server. @param model A GGUF file. */
export async function startLlamaServer(program: string, model: string) {
  const { root, close } = await startServerProcess(program, (port) => [
    ...['--model', model, '--alias', 'smollm2', '--host', '127.0.0.1', '--port', port],
    ...['--parallel', '4', '--ctx-size', '8192', '--threads', '1', '--slots', '--no-webui'],
  ]);
  return { url: `${root}/v1`, model: 'smollm2', close };
}
