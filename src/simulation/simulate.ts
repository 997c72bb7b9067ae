import type { Candidate } from '../../routers/candidate.ts';
import type { Dispatch } from '../../routers/lifecycle.ts';
import { DEFAULT_SETTINGS, type Policy } from '../../routers/policy.ts';
import type { RequestFeatures } from '../../routers/request.ts';
import { RoutingKnowledge } from '../../routers/routing-knowledge.ts';
import { Engine, type EngineSettings, type Sequence } from './engine.ts';
import { type FaultAt, faultEvents } from './faults.ts';
import { seededRandom } from './random.ts';
import { BLOCK_TOKENS, type TraceRequest } from './trace.ts';

/** What the simulation shows of a deployment beyond what any gateway sees. Peers that read metrics or cache events use it. */
export interface EngineView {
  readonly id: string;
  /** As of the last scrape. */
  readonly scraped: { readonly waiting: number; readonly running: number; readonly kvUsage: number };
  cachedBlocks(request: TraceRequest): number;
}

export interface SimulatedRequest extends RequestFeatures {
  readonly trace: TraceRequest;
}

export interface PolicyContext {
  readonly knowledge: RoutingKnowledge;
  readonly settings: typeof DEFAULT_SETTINGS;
  readonly engines: ReadonlyMap<string, EngineView>;
}

export type MakePolicy = (context: PolicyContext) => Policy;

export interface Machine extends Omit<Candidate, 'id' | 'ready' | 'inFlight'> {
  readonly engine: EngineSettings;
}

export interface Scenario {
  readonly machines: readonly Machine[];
  readonly requests: readonly TraceRequest[];
  readonly faults: readonly FaultAt[];
  readonly seed: number;
  readonly scrapeMs: number;
  /** The machine whose metrics always say that many are waiting, whatever it does. */
  readonly liar?: number | undefined;
  /** Gateways that share the machines and know nothing of each other. */
  readonly gateways: number;
}

export interface Served {
  readonly request: TraceRequest;
  /** Undefined: it failed. */
  ttftMs: number | undefined;
  tpotMs: number | undefined;
  cachedTokens: number;
  costUsd: number;
}

export interface Outcome {
  readonly served: readonly Served[];
  readonly busyMs: readonly number[];
  readonly durationMs: number;
}

const LIE = { waiting: 500, running: 500, kvUsage: 1 };
/** As a gateway would: one more try elsewhere while nothing was delivered. */
const MAX_TRIES = 2;

interface Attempt {
  readonly served: Served;
  readonly gateway: Gateway;
  readonly machine: number;
  readonly dispatch: Dispatch;
  readonly tried: readonly number[];
  firstTokenAtMs: number | undefined;
}

interface Gateway {
  readonly knowledge: RoutingKnowledge;
  readonly policy: Policy;
  readonly inFlight: number[];
}

/** Runs a trace through a policy and simulated engines. Deterministic for a seed. */
export function simulate(scenario: Scenario, makePolicy: MakePolicy): Outcome {
  return new Simulation(scenario, makePolicy).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #random: () => number;
  readonly #engines: Engine[];
  readonly #ready: boolean[];
  readonly #views: (EngineView & { scraped: EngineView['scraped'] })[];
  readonly #gateways: Gateway[];
  readonly #attempts = new Map<Sequence, Attempt>();
  readonly #features = new Map<TraceRequest, SimulatedRequest>();
  readonly #served: Served[] = [];
  #nowMs = 0;
  #nextScrapeMs = 0;

  constructor(scenario: Scenario, makePolicy: MakePolicy) {
    this.#scenario = scenario;
    this.#random = seededRandom(scenario.seed * 7919 + 1);
    this.#engines = scenario.machines.map(
      ({ engine }) =>
        new Engine(engine, {
          firstToken: (sequence, nowMs) => this.#firstToken(sequence, nowMs),
          finished: (sequence, nowMs) => this.#finished(sequence, nowMs),
        }),
    );
    this.#ready = scenario.machines.map(() => true);
    this.#views = this.#engines.map((engine, i) => ({
      id: `engine-${i}`,
      scraped: engine.load,
      cachedBlocks: (request) => engine.cachedBlocks(request),
    }));
    const engines = new Map(this.#views.map((view) => [view.id, view]));
    this.#gateways = Array.from({ length: scenario.gateways }, () => {
      const knowledge = new RoutingKnowledge();
      const policy = makePolicy({ knowledge, settings: DEFAULT_SETTINGS, engines });
      return { knowledge, policy, inFlight: this.#engines.map(() => 0) };
    });
  }

  run(): Outcome {
    const { requests, faults } = this.#scenario;
    const pending = faultEvents(faults);
    let arrived = 0;
    for (;;) {
      const engine = this.#nextEngine();
      const engineMs = engine === undefined ? Number.POSITIVE_INFINITY : this.#engines[engine]!.nextMs;
      const arrivalMs = requests[arrived]?.arrivalMs ?? Number.POSITIVE_INFINITY;
      const faultMs = pending[0]?.atMs ?? Number.POSITIVE_INFINITY;
      const nextMs = Math.min(engineMs, arrivalMs, faultMs);
      if (nextMs === Number.POSITIVE_INFINITY) break;
      this.#scrapeUntil(nextMs);
      this.#nowMs = nextMs;
      if (faultMs === nextMs) {
        const event = pending.shift()!;
        event.happen(this.#engines[event.machine]!, {
          crash: () => this.#crash(event.machine),
          restart: () => this.#restart(event.machine),
        });
      } else if (engineMs === nextMs) this.#engines[engine!]!.advance();
      else this.#arrive(requests[arrived++]!);
    }
    const busyMs = this.#engines.map((engine) => engine.busyMs);
    return { served: this.#served, busyMs, durationMs: this.#nowMs };
  }

  #nextEngine(): number | undefined {
    let next: number | undefined;
    for (let i = 0; i < this.#engines.length; i += 1)
      if (next === undefined || this.#engines[i]!.nextMs < this.#engines[next]!.nextMs) next = i;
    return next;
  }

  #scrapeUntil(nextMs: number): void {
    if (nextMs < this.#nextScrapeMs) return;
    const { scrapeMs, liar } = this.#scenario;
    this.#views.forEach((view, i) => {
      view.scraped = i === liar ? LIE : this.#engines[i]!.load;
      for (const { knowledge } of this.#gateways) knowledge.scraped(view.id, view.scraped, this.#nowMs);
    });
    this.#nextScrapeMs = Math.ceil((nextMs + 1) / scrapeMs) * scrapeMs;
  }

  #arrive(request: TraceRequest): void {
    const served: Served = {
      request,
      ttftMs: undefined,
      tpotMs: undefined,
      cachedTokens: 0,
      costUsd: 0,
    };
    this.#served.push(served);
    const gateway = this.#gateways[Math.floor(this.#random() * this.#gateways.length)]!;
    this.#try(served, gateway, []);
  }

  #try(served: Served, gateway: Gateway, tried: readonly number[]): void {
    if (tried.length >= MAX_TRIES) return;
    const request = this.#featuresOf(served.request);
    const candidates = this.#scenario.machines.flatMap((machine, i) =>
      tried.includes(i)
        ? []
        : { ...machine, id: `engine-${i}`, ready: this.#ready[i]!, inFlight: gateway.inFlight[i]! },
    );
    const { policy, knowledge } = gateway;
    const ranked = policy.rank({ request, candidates, nowMs: this.#nowMs, random: this.#random });
    const [first] = ranked;
    if (first === undefined) return;
    const machine = Number(first.candidate.id.slice('engine-'.length));
    const dispatch = knowledge.dispatch(first.candidate.id, request, this.#nowMs, policy);
    gateway.inFlight[machine]! += 1;
    const attempt = { served, gateway, machine, dispatch, tried, firstTokenAtMs: undefined };
    if (this.#ready[machine])
      this.#attempts.set(this.#engines[machine]!.submit(served.request, this.#nowMs), attempt);
    else this.#fail(attempt);
  }

  #firstToken(sequence: Sequence, nowMs: number): void {
    const attempt = this.#attempts.get(sequence)!;
    attempt.firstTokenAtMs = nowMs;
    attempt.served.ttftMs = nowMs - attempt.served.request.arrivalMs;
    attempt.served.cachedTokens = sequence.cachedTokens;
    attempt.dispatch.firstToken(nowMs);
  }

  #finished(sequence: Sequence, nowMs: number): void {
    const { served, gateway, machine, dispatch, firstTokenAtMs } = this.#attempts.get(sequence)!;
    const { promptTokens, outputTokens } = served.request;
    const { cachedTokens } = sequence;
    served.tpotMs = outputTokens > 1 ? (nowMs - firstTokenAtMs!) / (outputTokens - 1) : 0;
    const { price } = this.#scenario.machines[machine]!;
    if (price !== undefined)
      served.costUsd =
        ((promptTokens - cachedTokens) * price.inputUsdPerMTok +
          cachedTokens * price.cachedInputUsdPerMTok +
          outputTokens * price.outputUsdPerMTok) /
        1e6;
    this.#attempts.delete(sequence);
    gateway.inFlight[machine]! -= 1;
    dispatch.finished(nowMs, { promptTokens, cachedTokens, outputTokens });
  }

  #fail({ served, gateway, machine, dispatch, tried, firstTokenAtMs }: Attempt): void {
    gateway.inFlight[machine]! -= 1;
    dispatch.failed(this.#nowMs);
    served.ttftMs = undefined;
    // What was delivered cannot be taken back.
    if (firstTokenAtMs === undefined) this.#try(served, gateway, [...tried, machine]);
  }

  #crash(machine: number): void {
    this.#ready[machine] = false;
    for (const sequence of this.#engines[machine]!.crash()) {
      const attempt = this.#attempts.get(sequence)!;
      this.#attempts.delete(sequence);
      this.#fail(attempt);
    }
  }

  #restart(machine: number): void {
    this.#ready[machine] = true;
    for (const { knowledge } of this.#gateways) knowledge.restarted(`engine-${machine}`);
  }

  #featuresOf(trace: TraceRequest): SimulatedRequest {
    let features = this.#features.get(trace);
    if (features === undefined) {
      const { promptTokens, blockIds } = trace;
      const blocks = lanes(blockIds);
      const blockTokens = BLOCK_TOKENS;
      features = { trace, promptTokens, blocks, blockTokens, stream: true, needs: [], constraints: {} };
      this.#features.set(trace, features);
    }
    return features;
  }
}

/** Ids of prefixes as hashes. */
function lanes(blockIds: readonly number[]): Int32Array {
  const out = new Int32Array(2 * blockIds.length);
  blockIds.forEach((id, i) => {
    out[2 * i] = Math.imul(id + 1, 0x9e3779b1);
    out[2 * i + 1] = id;
  });
  return out;
}
