import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Scheduler, type StepPlan } from './scheduler.ts';

class Job {
  done = false;
  generated = 0;
  readonly promptLength: number;
  readonly outputLength: number;
  readonly prompt: object;
  /** Positions that can be restored. */
  readonly kept: number;

  constructor(promptLength: number, outputLength: number, prompt: object = {}, kept = 0) {
    this.promptLength = promptLength;
    this.outputLength = outputLength;
    this.prompt = prompt;
    this.kept = kept;
  }

  take(): void {
    if (++this.generated >= this.outputLength) this.done = true;
  }
}

/** KV memory as a model sees it: which job's positions each slot holds. Throws when a plan would compute nonsense. */
class Memory {
  readonly #slots: { job: Job; length: number }[] = [];

  run(plan: StepPlan<Job>, slots: number): void {
    for (const { sequence } of [...plan.decode, ...plan.prefill]) expect(sequence.done).toBe(false);
    for (const { from, to, length } of plan.moves) {
      const source = this.#slots[from]!;
      expect(source.length).toBeGreaterThanOrEqual(length);
      this.#slots[to] = { job: source.job, length };
    }
    for (const { sequence, slot, length } of plan.restores) {
      expect(length).toBe(sequence.kept);
      expect(slot).toBeLessThan(slots);
      expect(slot).toBeGreaterThanOrEqual(plan.decode.length);
      this.#slots[slot] = { job: sequence, length };
    }
    for (const [slot, { sequence, past }] of plan.decode.entries()) {
      const held = this.#slots[slot]!;
      expect(held.job).toBe(sequence);
      expect(held.length).toBe(past);
      expect(past).toBe(sequence.promptLength + sequence.generated - 1);
      held.length++;
    }
    for (const { sequence, slot, from, to, last, forks } of plan.prefill) {
      expect(slot).toBeLessThan(slots);
      expect(slot).toBeGreaterThanOrEqual(plan.decode.length);
      if (from === 0) this.#slots[slot] = { job: sequence, length: 0 };
      const held = this.#slots[slot]!;
      expect(held.job).toBe(sequence);
      expect(held.length).toBe(from);
      held.length = to;
      expect(to).toBeGreaterThan(from);
      expect(last).toBe(to === sequence.promptLength);
      if (!last) expect(forks).toEqual([]);
      for (const fork of forks) {
        expect(fork.sequence.prompt).toBe(sequence.prompt);
        expect(fork.slot).toBeLessThan(slots);
        this.#slots[fork.slot] = { job: fork.sequence, length: to };
      }
    }
    for (const { sequence } of plan.decode) sequence.take();
    for (const { sequence, last, forks } of plan.prefill) {
      if (last) sequence.take();
      for (const fork of forks) fork.sequence.take();
    }
  }
}

const jobs = fc.array(
  fc.record({
    atStep: fc.nat(40),
    prompt: fc.integer({ min: 1, max: 300 }),
    output: fc.integer({ min: 1, max: 60 }),
    choices: fc.integer({ min: 1, max: 4 }),
    kept: fc.nat(299),
    /** Steps after arrival at which the client leaves. */
    leavesAfter: fc.option(fc.nat(60), { nil: undefined }),
  }),
  { maxLength: 20 },
);

interface Arrival {
  readonly prompt: number;
  readonly output: number;
  readonly choices: number;
  readonly kept: number;
}

function jobsOf({ prompt, output, choices, kept }: Arrival): Job[] {
  const shared = {};
  return Array.from(
    { length: choices },
    (_, i) => new Job(prompt, output + i, shared, Math.min(kept, prompt - 1)),
  );
}

const restorable = (job: Job): number => job.kept;

describe('whatever arrives, leaves and ends', () => {
  test('slots hold what is computed, everybody decodes every step, and all of it ends', () => {
    fc.assert(
      fc.property(jobs, fc.integer({ min: 1, max: 8 }), (arrivals, slots) => {
        const scheduler = new Scheduler<Job>({ slots, queueLimit: 1_000, restorable });
        const memory = new Memory();
        const all: Job[] = [];
        const leaving: { job: Job; step: number }[] = [];
        const expected = arrivals.reduce((sum, { choices }) => sum + choices, 0);
        let unfinished = expected;
        for (let step = 0; unfinished > 0 || step <= 40; step++) {
          expect(step).toBeLessThan(10_000);
          for (const arrival of arrivals.filter((a) => a.atStep === step)) {
            for (const job of jobsOf(arrival)) {
              all.push(job);
              scheduler.add(job);
              if (arrival.leavesAfter !== undefined) leaving.push({ job, step: step + arrival.leavesAfter });
            }
          }
          for (const leaver of leaving) if (leaver.step === step) leaver.job.done = true;

          const decoding = all.filter((job) => job.generated > 0 && !job.done);
          const plan = scheduler.plan();
          expect(scheduler.running).toBeLessThanOrEqual(slots);
          expect(plan?.decode.length ?? 0).toBe(decoding.length);
          if (plan !== undefined) memory.run(plan, slots);
          unfinished = expected - all.filter((job) => job.done).length;
        }
        expect(scheduler.plan()).toBeUndefined();
        expect([scheduler.running, scheduler.waiting]).toEqual([0, 0]);
      }),
    );
  });

  test('first come, first served', () => {
    fc.assert(
      fc.property(jobs, fc.integer({ min: 1, max: 8 }), (arrivals, slots) => {
        const scheduler = new Scheduler<Job>({ slots, queueLimit: 1_000, restorable });
        const all = arrivals.flatMap(jobsOf);
        for (const job of all) scheduler.add(job);
        const started: Job[] = [];
        const memory = new Memory();
        for (let plan = scheduler.plan(); plan !== undefined; plan = scheduler.plan()) {
          for (const { sequence, from, forks } of plan.prefill) {
            if (from === sequence.kept) started.push(sequence);
            started.push(...forks.map((fork) => fork.sequence));
          }
          memory.run(plan, slots);
        }
        expect(started).toEqual(all);
      }),
    );
  });

  test('nobody who decodes waits for more prompt than one chunk and the few last tokens of a prompt', () => {
    fc.assert(
      fc.property(jobs, (arrivals) => {
        const scheduler = new Scheduler<Job>({
          slots: 8,
          queueLimit: 1_000,
          busyChunkTokens: () => 64,
          restorable,
        });
        for (const job of arrivals.flatMap(jobsOf)) scheduler.add(job);
        const memory = new Memory();
        for (let plan = scheduler.plan(); plan !== undefined; plan = scheduler.plan()) {
          const tokens = plan.prefill.reduce((sum, chunk) => sum + chunk.to - chunk.from, 0);
          if (plan.decode.length > 0) expect(tokens).toBeLessThanOrEqual(64 + 16);
          memory.run(plan, 8);
        }
      }),
    );
  });
});

test('an idle engine takes a prompt in large chunks', () => {
  const scheduler = new Scheduler<Job>({ slots: 2, queueLimit: 1 });
  scheduler.add(new Job(400, 5));
  expect(scheduler.plan()?.prefill.map(({ from, to, last }) => [from, to, last])).toEqual([[0, 256, false]]);
  expect(scheduler.plan()?.prefill.map(({ from, to, last }) => [from, to, last])).toEqual([[256, 400, true]]);
});

test('a first token is not held up by long prompts behind it', () => {
  const scheduler = new Scheduler<Job>({ slots: 4, queueLimit: 4 });
  scheduler.add(new Job(20, 5));
  scheduler.add(new Job(500, 5));
  expect(scheduler.plan()?.prefill.map(({ from, to }) => to - from)).toEqual([20, 44]);
});

test('small chunks are avoided, at the end of a prompt and behind one', () => {
  const scheduler = new Scheduler<Job>({ slots: 4, queueLimit: 4 });
  const sizes = () => scheduler.plan()?.prefill.map(({ from, to }) => to - from);
  scheduler.add(new Job(50, 5));
  scheduler.add(new Job(80, 5));
  scheduler.add(new Job(90, 5));
  expect(sizes()).toEqual([50]);
  expect(sizes()).toEqual([80]);
  expect(sizes()).toEqual([64]);
  expect(sizes()).toEqual([26]);
});

test('choices of one prompt share its computation, as far as there are slots', () => {
  const scheduler = new Scheduler<Job>({ slots: 3, queueLimit: 9 });
  const prompt = {};
  const [first, second, third, fourth] = Array.from({ length: 4 }, () => new Job(20, 5, prompt));
  for (const job of [first!, second!, third!, fourth!]) scheduler.add(job);
  expect(scheduler.plan()?.prefill).toEqual([
    {
      sequence: first,
      slot: 0,
      from: 0,
      to: 20,
      last: true,
      forks: [
        { sequence: second, slot: 1 },
        { sequence: third, slot: 2 },
      ],
    },
  ]);
  expect(scheduler.waiting).toBe(1);
});

test('what can be restored is not computed', () => {
  const scheduler = new Scheduler<Job>({ slots: 2, queueLimit: 1, restorable });
  const job = new Job(400, 5, {}, 384);
  scheduler.add(job);
  expect(scheduler.plan()).toMatchObject({
    restores: [{ sequence: job, slot: 0, length: 384 }],
    prefill: [{ from: 384, to: 400, last: true }],
  });
});

test('the queue is full when its limit is reached and no slot is free', () => {
  const scheduler = new Scheduler<Job>({ slots: 2, queueLimit: 3 });
  expect(scheduler.hasRoomFor(5)).toBe(true);
  expect(scheduler.hasRoomFor(6)).toBe(false);
  for (let i = 0; i < 5; i++) scheduler.add(new Job(10, 5));
  expect(scheduler.hasRoomFor(1)).toBe(false);
});
