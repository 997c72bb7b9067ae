import { describe, expect, test } from 'vitest';
import { patternDetector } from './detector.ts';
import { SENSITIVE_KINDS } from './pattern.ts';

const detector = patternDetector(SENSITIVE_KINDS);
const kindsIn = (...texts: string[]) => [...detector.detect(texts)].sort();

/** Put together here, so that no scanner takes this file for a leak. */
const joined = (...parts: string[]) => parts.join('');

describe('finds', () => {
  test.each([
    ['identity-number', '我的身份证号是11010519491231002X，请帮我查一下'],
    ['identity-number', '身份证：110105 19491231 002x'],
    ['identity-number', '110105 1949-12-31\n002X'],
    ['identity-number', 'id_11010519491231002X'],
    ['identity-number', '身份证１１０１０５１９４９１２３１００２Ｘ'],
    ['identity-number', '身份证号码为110105491231002'],
    ['identity-number', 'HKID: A123456(3)'],
    ['identity-number', '香港身份證 A123456（3）'],
    ['identity-number', '身分證字號 A123456789'],
    ['identity-number', 'my number is 536-22-8145.'],
    ['identity-number', 'SSN: 536228145'],
    ['identity-number', 'NI number QQ123456C is the example, AB 12 34 56 C a real one'],
    ['identity-number', '护照号 E12345678'],
    ['identity-number', 'passport no. 拜托: passport number G12345678'],
    ['phone', '打我电话 13812345678 谢谢'],
    ['phone', '+86 138-1234-5678'],
    ['phone', '8613812345678'],
    ['phone', '139\u200b1234\u200b5678'],
    ['phone', '座机 021-62345678'],
    ['phone', '138.1234.5678'],
    ['phone', '138  1234  5678'],
    ['phone', '138 - 1234 - 5678'],
    ['phone', '1 3 8 1 2 3 4 5 6 7 8'],
    ['phone', 'tel13812345678'],
    ['phone', 'Li,13812345678.0,Beijing'],
    ['phone', '١٣٨١٢٣٤٥٦٧٨'],
    ['phone', '𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖'],
    ['phone', '1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣'],
    ['phone', '我的号码是一三八一二三四五六七八'],
    ['phone', '1\u034f3\u034f8\u034f1\u034f2\u034f3\u034f4\u034f5\u034f6\u034f7\u034f8'],
    ['phone', '138 1234 5678 139 1234 5678 136 1234 5678'],
    ['phone', '{"phone_number":"07700900123"}'],
    ['phone', 'call (415) 867-5309 today'],
    ['phone', 'call +1 415-867-5309 today'],
    ['phone', 'Reach me at +44 20 7946 0958.'],
    ['phone', 'mobile: 07700 900123'],
    ['payment-card', 'card 4111 1111 1111 1111 exp 12/27'],
    ['payment-card', '4111111111111111'],
    ['payment-card', 'Li,4111111111111111,Beijing'],
    ['payment-card', '7,4111111111111111.0'],
    ['payment-card', '4111  1111  1111  1111'],
    ['payment-card', '4111.1111.1111.1111'],
    ['payment-card', '4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1'],
    ['payment-card', '3782 822463 10005'],
    ['payment-card', 'ticket 1046 - 4111 1111 1111 1111'],
    ['payment-card', '2026 4111 1111 1111 1111'],
    ['payment-card', '4242 4242 4242 4242 1227'],
    ['payment-card', '5555-5555-5555-4444'],
    ['payment-card', '4242 4242 4242 4242 12 27 123'],
    ['payment-card', '378282246310005'],
    ['payment-card', '银联卡 6222 0200 0000 0000 018'],
    ['payment-card', '号码：６２２２０２０００００００００００１８'],
    ['bank-account', 'GB82 WEST 1234 5698 7654 32'],
    ['bank-account', 'IBAN DE89370400440532013000 please'],
    ['bank-account', 'pay to DE89 3704 0044 0532 0130 00 BY FRIDAY'],
    ['bank-account', '对公账户：3100 1520 3130 5001 2345'],
    ['bank-account', 'account number 12345678'],
    ['secret', joined('sk-', 'proj-', 'a8Fk29xLmQ0pZ7tYv3BnW5cE')],
    ['secret', joined('AKIA', 'IOSFODNN7EXAMPLQ')],
    ['secret', joined('gh', 'p_', '16C7e42F292c6912E7710c838347Ae178B4a')],
    ['secret', joined('xox', 'b-', '123456789012-abcdefGHIJKL')],
    ['secret', joined('-----BEGIN ', 'RSA PRIVATE KEY-----\nMIIE')],
    ['secret', joined('-----BEGIN ', 'PRIVATE KEY-----')],
    [
      'secret',
      joined(
        'eyJhbGciOiJIUzI1NiJ9',
        '.eyJzdWIiOiIxMjM0NTY3ODkwIn0',
        '.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
      ),
    ],
    ['secret', joined('postgres://app:', 'h7Gq2-xx91@db.internal:5432/app')],
    ['secret', joined('password=', 'Tr0ub4dor&3')],
    ['secret', joined('数据库密码是', 'Abc12345!@#')],
    ['email', '写信给 wei.zhang@qianmen.cn 吧'],
  ])('%s in %s', (kind, text) => {
    expect(kindsIn(text)).toContain(kind);
  });

  test('what a later text holds, and every kind at once', () => {
    expect(kindsIn('hello', 'my card is 4111111111111111', 'and my mail a.b@c.de')).toEqual([
      'email',
      'payment-card',
    ]);
  });

  test('a number in the middle of a long text', () => {
    const filler = 'The quick brown fox jumps over the lazy dog. 第二章 '.repeat(2_000);
    expect(kindsIn(`${filler}手机13812345678${filler}`)).toEqual(['phone']);
  });
});

describe('raises no false alarm for', () => {
  test.each([
    ['a wrong check digit of an identity number', '110105194912310021'],
    ['a date that does not exist in one', '110105194913310020'],
    ['a wrong Luhn digit', 'order 4111 1111 1111 1112'],
    ['a repeated digit', '0000 0000 0000 0000'],
    ['a wrong IBAN', 'DE89370400440532013001'],
    ['a time in milliseconds', 'at 1732556400123 the job ran, 1732556400 in seconds'],
    ['a time stamp', '2026-11-25T20:50:15.123Z'],
    ['a UUID', 'id 3f2504e0-4f89-41d3-9a0c-0305e82c3301'],
    ['a commit', 'fixed in da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['a hash', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['digits of pi', '3.14159265358979323846264338327950288419716939937510'],
    ['an address', 'http://192.168.100.200:8080/v1 and 2001:db8::8a2e:370:7334'],
    ['a version', 'node v24.21.0, chrome 126.0.6478.127'],
    ['an ISBN', 'ISBN 978-7-111-40701-0'],
    ['sums', '本季度营收为1,234,567,890元，同比增长12.5%，约合 $171,000,000.00'],
    ['a sum with many digits', 'x = 12345678901234567890; y = 0.1234567890123456'],
    ['a table', '7960 5486 1519 1720 4861 7609 2005 2619 7357 4111 1111 1111 1111 6633 4897 2332 8125'],
    ['a column', 'sizes: 12 139 1024 2048 4096'],
    ['a board', '5 3 0 0 7 0 0 0 0\n6 0 0 1 9 5 0 0 0\n0 9 8 0 0 0 0 6 0'],
    ['a parcel', '快递单号 SF4282698064920'],
    ['a hash with a number in it', 'd41d8c13812345678b204e98'],
    ['a service line', '客服 400-601-4898，or call 800-555-4321'],
    ['a page of numbers', '10 20 30 40 50 60 70 80 90 100 110 120 130 140'],
    ['an outlet', '请拨打 110、120 或 12345 热线，客服 95588，400-123-4567'],
    [
      'a question about passwords',
      'How long should a password be: at least twelve characters? What is a secret, anyway?',
    ],
    [
      'a placeholder',
      'export OPENAI_API_KEY=sk-your-key-here; password: <your-password>; api_key=${API_KEY}',
    ],
    ['code with a variable', "const password = getPassword(); token = os.environ['TOKEN']"],
    ['a public key', '-----BEGIN PUBLIC KEY-----'],
    ['an address for examples', 'mail someone@example.com or root@host.test'],
    ['a decorator and a handle', '@app.get("/x") by @octocat, npm i @scope/package@1.2.3'],
    ['a number of fiction', 'call 415-555-0132'],
    ['a postcode and a year', '邮编 200120，2008-2012 年'],
    ['a chess game and a score', '1-0 22-19 3-2-1, 10-12-14'],
    ['maths', '(1234567 + 7654321) * 13 = 115555544'],
    ['coordinates', '31.230416, 121.473701'],
    ['a Chinese sentence', '身份证丢了应该怎么补办？电话客服说需要带户口本，大概要等20个工作日。'],
    ['a country code', 'The +86 prefix belongs to China, +1 to North America'],
  ])('%s', (_, text) => {
    expect(kindsIn(text)).toEqual([]);
  });
});

test('only what was asked for is looked for', () => {
  const cards = patternDetector(['payment-card']);
  expect([...cards.detect(['13812345678 and a@b.cn'])]).toEqual([]);
  expect([...cards.detect(['4111111111111111'])]).toEqual(['payment-card']);
});

test('a text made to be slow is read in time that grows with its length alone', () => {
  const texts = [
    '1 ',
    '1-',
    'a',
    'A1',
    '+1 1',
    'eyJ',
    'a.',
    'sk-',
    '-----BEGIN A ',
    'DE89',
    'password: a',
    '138 1234 5678 ',
    '4111 ',
    '一',
  ];
  const elapsedMs = (repeats: number) => {
    const startedAt = performance.now();
    for (const text of texts) detector.detect([text.repeat(repeats)]);
    return performance.now() - startedAt;
  };
  elapsedMs(2_000);
  // Quadratic work would take 256 times as long for sixteen times the length.
  expect(elapsedMs(32_000) / Math.max(elapsedMs(2_000), 1)).toBeLessThan(100);
});

test('a long row of marks, or of letters that are sentences, does not stop the process, nor hide a number', () => {
  const long = '\u0301\u0316'.repeat(500_000);
  expect(kindsIn(`${long}13812345678`)).toEqual(['phone']);
  expect(kindsIn(`${'\uFDFA'.repeat(300_000)} 13812345678`)).toEqual(['phone']);
});
