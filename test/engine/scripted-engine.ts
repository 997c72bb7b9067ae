/**
 * A program in place of the engine process, for faults: loads at once and answers each request with `a` and the end,
 * except where the prompt names a way to fail.
 */
import { Socket } from 'node:net';
import { encodeFrame, FrameReader } from '../../src/engine/frame.ts';
import type { FromEngine, ToEngine } from '../../src/engine/messages.ts';
import { FAKE_INFO } from './fake-children.ts';

const socket = new Socket({ fd: 3 });
const reader = new FrameReader();
const send = (message: FromEngine): void => void socket.write(encodeFrame(message));

function handle(message: ToEngine): void {
  if (message.type === 'load') send({ type: 'ready', info: { ...FAKE_INFO, pid: process.pid } });
  else if (message.type === 'ping') send({ type: 'pong' });
  else if (message.type === 'shutdown') process.exit(0);
  else if (message.type === 'submit') {
    const prompt = message.request.prompts[0];
    const text = prompt?.kind === 'text' ? prompt.text : '';
    if (text === 'crash') throw new Error('out of luck');
    if (text === 'nonsense') socket.write(Buffer.alloc(64, 0xff));
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
