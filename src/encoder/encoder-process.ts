/** The process that holds one local encoder model, started by the gateway. */
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { GatewayLink } from '../model-process/gateway-link.ts';
import { EncoderLoop } from './encoder-loop.ts';
import { loadEncoder } from './load-encoder.ts';
import type { EncoderLoadOptions, FromEncoder, ToEncoder } from './messages.ts';

const gateway = new GatewayLink<FromEncoder>('qianmen-encoder');
let loop: EncoderLoop | undefined;

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
      send: (message) => gateway.send(message),
      now: () => performance.now(),
    });
    gateway.send({ type: 'ready', info });
  } catch (error) {
    gateway.refuse(error, [ModelFileError, ProviderError]);
  }
}

gateway.listen<ToEncoder>((message) => {
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
      gateway.send({ type: 'pong' });
      break;
    case 'shutdown':
      process.exit(0);
  }
});
