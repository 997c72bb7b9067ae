/**
 * The encoder process: started by the gateway, one per local encoder model. It talks over the socket on file descriptor 3
 * and ends when that closes, which is how it learns that the gateway has died.
 */
import { Socket } from 'node:net';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { encodeFrame, FrameReader } from '../engine/frame.ts';
import { EncoderLoop } from './encoder-loop.ts';
import { loadEncoder } from './load-encoder.ts';
import type { EncoderLoadOptions, FromEncoder, ToEncoder } from './messages.ts';

// A signal to the whole process group is the gateway's to handle: it lets running requests finish first.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.title = 'qianmen-encoder';

const socket = new Socket({ fd: 3 });
const reader = new FrameReader();
let loop: EncoderLoop | undefined;

function send(message: FromEncoder): void {
  socket.write(encodeFrame(message));
}

async function load(options: EncoderLoadOptions): Promise<void> {
  try {
    const { session, lanes, tokenizer, description, info } = await loadEncoder(options);
    loop = new EncoderLoop({
      runner: session,
      lanes,
      tokenizer,
      limits: { maxTokens: info.contextTokens, normalise: description.normalise },
      // No budget: one row at a time.
      batchTokens: info.rowsIndependent ? options.batchTokens : 0,
      send,
      now: () => performance.now(),
    });
    send({ type: 'ready', info });
  } catch (error) {
    const permanent = error instanceof ModelFileError || error instanceof ProviderError;
    const detail = error instanceof Error ? error.message : String(error);
    socket.end(encodeFrame({ type: 'failed', detail, permanent } satisfies FromEncoder), () =>
      process.exit(1),
    );
  }
}

function handle(message: ToEncoder): void {
  switch (message.type) {
    case 'load':
      void load(message.options);
      break;
    case 'submit':
      loop?.submit(message.id, message.request);
      break;
    case 'cancel':
      loop?.cancel(message.id);
      break;
    case 'ping':
      send({ type: 'pong' });
      break;
    case 'shutdown':
      process.exit(0);
  }
}

socket.on('data', (chunk: Buffer) => {
  for (const message of reader.push(chunk)) handle(message as ToEncoder);
});
socket.on('error', () => process.exit(0));
socket.on('close', () => process.exit(0));
