import type { Check } from './check.ts';

const SIGNS = { ok: '✓', warning: '!', failed: '✗' } as const;

/** For people: a line or more for each check, under the headings of their sections. */
export function reportText(checks: readonly Check[]): string {
  const sections = [...new Set(checks.map(({ section }) => section))];
  const blocks = sections.map((section) => {
    const lines = checks.filter((check) => check.section === section).map(checkText);
    return `${section[0]!.toUpperCase()}${section.slice(1)}\n${lines.join('\n')}\n`;
  });
  return `${blocks.join('\n')}\n${summary(checks)}\n`;
}

function checkText({ name, status, detail, fix }: Check): string {
  const lines = detail.split('\n').join('\n      ');
  return `  ${SIGNS[status]} ${name}: ${lines}${fix === undefined ? '' : `\n      → ${fix}`}`;
}

function summary(checks: readonly Check[]): string {
  const failed = checks.filter(({ status }) => status === 'failed').length;
  if (failed === 0) return 'Nothing is wrong.';
  return failed === 1 ? 'One thing is wrong.' : `${failed} things are wrong.`;
}

/** For programs. */
export function reportJson(checks: readonly Check[]): string {
  return `${JSON.stringify({ ok: isHealthy(checks), checks }, null, 2)}\n`;
}

export function isHealthy(checks: readonly Check[]): boolean {
  return checks.every(({ status }) => status !== 'failed');
}
