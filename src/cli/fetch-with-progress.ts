import { EnvHttpProxyAgent } from 'undici';
import { loadCatalogue } from '../../config/catalogue.ts';
import { fetchModel } from '../models/fetch-model.ts';
import { renderProgress } from '../models/progress.ts';
import type { Environment } from './run.ts';

/** Fetches a catalogue model into `modelsDir`, telling on stderr how far it is. Resolves to the file's path. */
export async function fetchWithProgress(name: string, modelsDir: string, env: Environment): Promise<string> {
  const progress = renderProgress(process.stderr);
  const interrupt = new AbortController();
  const onSignal = () =>
    interrupt.abort(new Error('interrupted; what was fetched is kept, the next try resumes'));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    return await fetchModel({
      name,
      catalogue: loadCatalogue(),
      modelsDir,
      signal: interrupt.signal,
      // Honours HTTPS_PROXY and NO_PROXY.
      dispatcher: new EnvHttpProxyAgent(),
      onProgress: (state) => progress.update(state),
      ...(env.HF_TOKEN === undefined ? {} : { hubToken: env.HF_TOKEN }),
      ...(env.HF_ENDPOINT === undefined ? {} : { hubUrl: env.HF_ENDPOINT }),
    });
  } finally {
    progress.end();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
