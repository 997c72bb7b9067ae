import type { Pattern } from './pattern.ts';

/** Keys, tokens and passwords by the marks that their issuers gave them for being found. */
export const SECRETS: readonly Pattern[] = [
  { kind: 'secret', expression: /-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----/g },
  // OpenAI, Anthropic, DeepSeek and others.
  { kind: 'secret', expression: /(?<![\w-])sk-[\w-]{20,200}(?![\w-])/g, accepts: isRandom },
  { kind: 'secret', expression: /(?<![A-Za-z\d])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z\d])/g },
  {
    kind: 'secret',
    expression: /(?<!\w)(?:gh[pousr]_\w{36,255}|github_pat_\w{60,255})(?!\w)/g,
    accepts: isRandom,
  },
  { kind: 'secret', expression: /(?<![\w-])glpat-[\w-]{20,64}(?![\w-])/g },
  { kind: 'secret', expression: /(?<![\w-])xox[abeoprs]-[\w-]{10,250}(?![\w-])/g },
  { kind: 'secret', expression: /(?<![\w-])AIza[\w-]{35}(?![\w-])/g },
  { kind: 'secret', expression: /(?<!\w)(?:sk|rk)_live_\w{16,250}(?!\w)/g },
  {
    kind: 'secret',
    expression: /(?<!\w)(?:hf|npm|dop_v1|pypi)[_-][A-Za-z\d_-]{32,200}(?![\w-])/g,
    accepts: isRandom,
  },
  // Alibaba Cloud and Tencent Cloud access keys.
  {
    kind: 'secret',
    expression: /(?<![A-Za-z\d])(?:LTAI[A-Za-z\d]{16,26}|AKID[A-Za-z\d]{32})(?![A-Za-z\d])/g,
    accepts: isRandom,
  },
  {
    // JSON Web Token: header and payload are objects, so both begin with `{"` in base64.
    kind: 'secret',
    expression: /(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,8000}\.[\w-]{16,2000}(?![\w-])/g,
    accepts: (match) => isTokenHeader(match.slice(0, match.indexOf('.'))),
  },
  // user:password@ in a URL.
  {
    kind: 'secret',
    expression: /\b[a-z][a-z\d+.-]{1,20}:\/\/[^\s:/@]{1,64}:([^\s:/@]{6,128})@[\w.-]{3,}/gi,
    accepts: isNoPlaceholder,
  },
  {
    kind: 'secret',
    expression:
      /(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token|密码|口令)["']?\s{0,3}(?:[:=：]|是|为)\s{0,3}["']?([^\s"'，。,;；<>{}()[\]$]{8,128})/gi,
    accepts: (match, groups) => isNoPlaceholder(match, groups) && isMixed(groups[1] ?? ''),
  },
];

/** Random strings use many characters, and digits; `sk-this-is-only-an-example-of-a-key` does not. */
function isRandom(text: string): boolean {
  return /\d/.test(text) && /[A-Za-z]/.test(text) && new Set(text).size >= 12;
}

/** Letters beside digits or signs: words of a sentence about passwords are none. */
function isMixed(text: string): boolean {
  return /[A-Za-z]/.test(text) && /[\d!@#%^&*_+=~-]/.test(text) && !/^[a-z]+(?:[._-][a-z]+)*$/i.test(text);
}

function isNoPlaceholder(_match: string, [, value = '']: RegExpExecArray): boolean {
  return !/^(?:\$|<|\{|%|\*+$|x+$|your|example|changeme|password|process\.env|os\.environ|env\.)/i.test(
    value,
  );
}

function isTokenHeader(part: string): boolean {
  try {
    const header: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof header === 'object' && header !== null && 'alg' in header;
  } catch {
    return false;
  }
}
