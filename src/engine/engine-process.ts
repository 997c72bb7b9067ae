/** The process that holds one local decoder model, started by the gateway. */
import { ModelFileError } from '../../kernels/model-file-error.ts';
import { ProviderError } from '../../kernels/ort/provider-error.ts';
import { GatewayLink } from '../model-process/gateway-link.ts';
import { EngineLoop } from './engine-loop.ts';
import { type LoadedModel, loadModel } from './load-model.ts';
import type { FromEngine, LoadOptions, ToEngine } from './messages.ts';
import { TokenizerError } from './tokenizer-description.ts';

/** Unread bytes on the socket above which no step runs. */
const MOST_UNREAD_BYTES = 8 * 2 ** 20;

const gateway = new GatewayLink<FromEngine>('qianmen-engine');
let model: LoadedModel | undefined;
let loop: EngineLoop | undefined;

async function load(options: LoadOptions): Promise<void> {
  try {
    model = await loadModel(options);
  } catch (error) {
    gateway.refuse(error, [ModelFileError, TokenizerError, ProviderError]);
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
    send: (message) => gateway.send(message),
    drained: () => (gateway.unreadBytes > MOST_UNREAD_BYTES ? gateway.drained() : undefined),
  });
  gateway.send({ type: 'ready', info: model.info });
}

gateway.listen<ToEngine>((message) => {
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
      model?.decoder.close();
      process.exit(0);
  }
});
