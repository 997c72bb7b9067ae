import type { GenerateRequest } from '../core/request.ts';

/**
 * Says how hard a request is: 0 for what any model answers, 1 for what only the best do. To replace it, implement this
 * and name it where `models[].tiers` is made into a route.
 */
export interface DifficultyClassifier {
  readonly name: string;
  difficulty(request: GenerateRequest): number;
}
