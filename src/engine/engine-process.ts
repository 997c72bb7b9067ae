/**
 * The engine process: started by the gateway, one per local model. It talks over the socket on file descriptor 3 and
 * ends when that closes, which is how it learns that the gateway has died.
 */
import { Socket } from 'node:net';
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { EngineLoop } from './engine-loop.ts';
import { encodeFrame, FrameReader } from './frame.ts';
import { type LoadedModel, loadModel } from './load-model.ts';
import type { FromEngine, LoadOptions, ToEngine } from './messages.ts';
import { TokenizerError } from './tokenizer-description.ts';

/** Unread bytes on the socket above which no step runs. */
const MOST_UNREAD_BYTES = 8 * 2 ** 20;

// A signal to the whole process group is the gateway's to handle: it lets running requests finish first.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.title = 'qianmen-engine';

const socket = new Socket({ fd: 3 });
const reader = new FrameReader();
let model: LoadedModel | undefined;
let loop: EngineLoop | undefined;

function send(message: FromEngine): void {
  socket.write(encodeFrame(message));
}

function drained(): Promise<void> | undefined {
  if (socket.writableLength <= MOST_UNREAD_BYTES) return undefined;
  return new Promise((resolve) => socket.once('drain', resolve));
}

async function load(options: LoadOptions): Promise<void> {
  try {
    model = await loadModel(options);
  } catch (error) {
    const permanent = [ModelFileError, TokenizerError, ProviderError].some((type) => error instanceof type);
    const detail = error instanceof Error ? error.message : String(error);
    socket.end(encodeFrame({ type: 'failed', detail, permanent } satisfies FromEngine), () =>
      process.exit(1),
    );
    return;
  }
  const { decoder, prompts, grammars } = model;
  loop = new EngineLoop({
    decoder,
    verifier: decoder.verifyRows > 0 ? decoder : undefined,
    prompts,
    grammars,
    slots: options.slots,
    queueLimit: options.queueLimit,
    prefixCacheBytes: options.prefixCacheBytes,
    send,
    drained,
  });
  send({ type: 'ready', info: model.info });
}

function handle(message: ToEngine): void {
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
      model?.decoder.close();
      process.exit(0);
  }
}

socket.on('data', (chunk: Buffer) => {
  for (const message of reader.push(chunk)) handle(message as ToEngine);
});
// Whichever comes first when the gateway is gone.
socket.on('end', () => process.exit(0));
socket.on('error', () => process.exit(0));
socket.on('close', () => process.exit(0));
