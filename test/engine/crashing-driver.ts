/** A program in place of the engine process whose GPU driver crashes: it dies unless it is told to compute on the CPU. */
import { Socket } from 'node:net';
import type { FromEngine, ToEngine } from '../../src/engine/messages.ts';
import { encodeFrame, FrameReader } from '../../src/model-process/frame.ts';
import { FAKE_INFO } from './fake-children.ts';

const socket = new Socket({ fd: 3 });
const reader = new FrameReader();
const send = (message: FromEngine): void => void socket.write(encodeFrame(message));

function handle(message: ToEngine): void {
  if (message.type === 'shutdown') process.exit(0);
  if (message.type === 'ping') send({ type: 'pong' });
  if (message.type !== 'load') return;
  const { provider, providerPassedOver = [] } = message.options;
  if (provider === 'cpu')
    send({ type: 'ready', info: { ...FAKE_INFO, provider, providersPassedOver: providerPassedOver } });
  else process.kill(process.pid, 'SIGSEGV');
}

socket.on('data', (chunk: Buffer) => {
  for (const message of reader.push(chunk)) handle(message as ToEngine);
});
socket.on('close', () => process.exit(0));
