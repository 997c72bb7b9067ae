import { Agent, request } from 'node:http';
import { chatBody } from '../support/gateway-process.ts';

/** How a request ended, as its client sees it. */
export type Ending =
  /** All of it came. */
  | 'whole'
  /** An error in OpenAI's shape came in place of a reply. */
  | 'told'
  /** An error event came in a stream that had begun. */
  | 'broken'
  /** The client left, as it meant to. */
  | 'left'
  /** The client was right to be refused. */
  | 'refused'
  /** Anything else: nobody told it anything. */
  | 'lost';

export interface Traffic {
  readonly endings: Readonly<Record<Ending, number>>;
  /** Of those that were lost, told or broken, some as they came. */
  readonly samples: readonly string[];
  /** Resolves when the last request has ended. */
  stop(): Promise<void>;
}

type Kind = 'whole' | 'stream' | 'leave' | 'nonsense';

/** Of twenty requests, in turn. */
const MIX: readonly Kind[] = [
  ...Array<Kind>(10).fill('whole'),
  ...Array<Kind>(7).fill('stream'),
  'leave',
  'leave',
  'nonsense',
];

const NOTEWORTHY: readonly Ending[] = ['lost', 'told', 'broken'];
const MAX_SAMPLES = 20;
/** Far beyond every limit of the gateway. */
const PATIENCE_MS = 30_000;

/** Clients that ask again as soon as they are answered, over connections that are kept. */
export function startTraffic(url: string, clients: number): Traffic {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const endings: Record<Ending, number> = { whole: 0, told: 0, broken: 0, left: 0, refused: 0, lost: 0 };
  const samples: string[] = [];
  let running = true;
  const client = async (first: number) => {
    for (let i = first; running; i += 1) {
      const { ending, sample } = await ask(url, agent, MIX[i % MIX.length]!, i);
      endings[ending] += 1;
      if (NOTEWORTHY.includes(ending) && samples.length < MAX_SAMPLES) samples.push(sample);
    }
  };
  const ended = Promise.all(Array.from({ length: clients }, (_, i) => client(i * 7)));
  return {
    endings,
    samples,
    async stop() {
      running = false;
      await ended;
      agent.destroy();
    },
  };
}

function ask(url: string, agent: Agent, kind: Kind, i: number): Promise<{ ending: Ending; sample: string }> {
  const { promise, resolve } = Promise.withResolvers<{ ending: Ending; sample: string }>();
  let text = '';
  const end = (ending: Ending, detail = '') =>
    resolve({ ending, sample: `${kind}: ${detail} ${text.slice(-400)}` });
  const outgoing = request(
    `${url}/v1/chat/completions`,
    { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
    (reply) => {
      const status = reply.statusCode ?? 0;
      reply.setEncoding('utf8');
      reply.on('data', (piece: string) => {
        text += piece;
        if (kind === 'leave' && text.length > 400) {
          end('left');
          outgoing.destroy();
        }
      });
      reply.on('end', () => end(endingOf(kind, status, text), `HTTP ${status}`));
      reply.on('close', () => end(kind === 'leave' ? 'left' : 'lost', `HTTP ${status}, cut`));
      reply.on('error', () => {});
    },
  );
  outgoing.on('error', (error) => end(kind === 'leave' ? 'left' : 'lost', String(error)));
  outgoing.on('close', () => end(kind === 'leave' ? 'left' : 'lost', 'closed'));
  const patience = setTimeout(() => end('lost', 'it never ended'), PATIENCE_MS);
  void promise.then(() => clearTimeout(patience));
  // Some are impatient before anything has come.
  if (kind === 'leave' && i % 2 === 0) setTimeout(() => outgoing.destroy(), 5);
  outgoing.end(
    kind === 'nonsense' ? nonsense(i) : chatBody('m', { stream: kind !== 'whole', max_tokens: 12 }),
  );
  return promise;
}

function nonsense(i: number): string {
  return ['{"model":', chatBody('nobody'), chatBody('m', { max_tokens: -1 }), '[]'][i % 4]!;
}

function endingOf(kind: Kind, status: number, text: string): Ending {
  if (status >= 400) {
    if (!text.includes('"error"')) return 'lost';
    return kind === 'nonsense' && status < 500 ? 'refused' : 'told';
  }
  if (kind === 'whole') return text.endsWith('}') ? 'whole' : 'lost';
  if (text.includes('"error"')) return text.includes('[DONE]') ? 'lost' : 'broken';
  return text.trimEnd().endsWith('data: [DONE]') ? 'whole' : 'lost';
}
