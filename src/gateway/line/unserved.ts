/** Nobody served it. */
export class Unserved {
  readonly reason: 'full' | 'timeout';
  /** Its tenant has more in line than is its share, while others wait, too. */
  readonly excessive: boolean;
  /** How long until a place in line may be worth having. */
  readonly comeBackMs: number;

  constructor(reason: 'full' | 'timeout', excessive: boolean, comeBackMs: number) {
    this.reason = reason;
    this.excessive = excessive;
    this.comeBackMs = comeBackMs;
  }
}
