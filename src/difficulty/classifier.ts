import type { GenerateRequest } from '../core/request.ts';

export interface Judgement {
  /** 0 for what any model answers, 1 for what only the best do. */
  readonly difficulty: number;
  /** Name and version of what judged. Figures of different judges are not to be compared. */
  readonly by: string;
}

/** Says how hard a request is. To replace it, implement this and name it where `models[].tiers` is made into a route. */
export interface DifficultyClassifier {
  /** At once, within microseconds. */
  judge(request: GenerateRequest): Judgement;
  /**
   * Better, but not at once; what comes too late is not waited for. Undefined, or resolving to undefined: `judge` has to do. Never
   * rejects.
   */
  consider?(request: GenerateRequest, signal: AbortSignal): Promise<Judgement | undefined> | undefined;
}
