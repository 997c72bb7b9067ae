/**
 * A program in place of the engine process, for faults: loads at once and answers each request with `a` and the end,
 * except where the prompt, or the name of the model file, tells a way to fail.
 */
import { Socket } from 'node:net';
import type { FromEngine, LoadOptions, ToEngine } from '../../src/engine/messages.ts';
import { encodeFrame, FrameReader } from '../../src/model-process/frame.ts';
import { FAKE_INFO } from './fake-children.ts';

const socket = new Socket({ fd: 3 });
const reader = new FrameReader();
const send = (message: FromEngine): void => void socket.write(encodeFrame(message));

const eaten: Buffer[] = [];

/** Takes memory, and uses it, until somebody ends that. */
function eat(): void {
  eaten.push(Buffer.alloc(32 * 2 ** 20, 1));
  setTimeout(eat, 10);
}

function load({ modelPath }: LoadOptions): void {
  if (modelPath.endsWith('segfault.gguf')) process.kill(process.pid, 'SIGSEGV');
  else send({ type: 'ready', info: { ...FAKE_INFO, pid: process.pid } });
}

function handle(message: ToEngine): void {
  if (message.type === 'load') load(message.options);
  else if (message.type === 'ping') send({ type: 'pong' });
  else if (message.type === 'shutdown') process.exit(0);
  else if (message.type === 'submit') {
    const prompt = message.request.prompts[0];
    const text = prompt?.kind === 'text' ? prompt.text : '';
    if (text === 'crash') throw new Error('out of luck');
    if (text === 'nonsense') socket.write(Buffer.alloc(64, 0xff));
    if (text === 'eat') eat();
    if (text === 'environment') process.stderr.write(JSON.stringify(Object.keys(process.env)));
    if (text === 'environment') process.exit(3);
    if (text !== 'ok') return;
    const parts = [
      { type: 'start', promptTokens: 1, cachedPromptTokens: 0 },
      { type: 'text-delta', index: 0, text: 'a', tokens: 1 },
      { type: 'finish', index: 0, reason: 'stop' },
    ] as const;
    send({ type: 'parts', deliveries: [{ id: message.id, parts, ended: true }] });
  }
}

socket.on('data', (chunk: Buffer) => {
  for (const message of reader.push(chunk)) handle(message as ToEngine);
});
socket.on('close', () => process.exit(0));
