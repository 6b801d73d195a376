// Goal: what the API says of the cluster is said in Chinese to who has chosen that. Method: the sentences as they stand in the
// sources of the reports, with something in each place that differs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { chineseOf } from './said.js';

const sources = join(__dirname, '../../../../libs/admin/src');
const isChinese = (text: string): boolean => /\p{sc=Han}/u.test(text);

/** What stands in a literal, with `7` for each value, of one thing and of many. Endings that are empty at times are left out. */
function sentencesIn(file: string, call: RegExp): string[] {
  const source = readFileSync(join(sources, file), 'utf8');
  return [...source.matchAll(call)].flatMap(([, , text = '']) => [saidOf(text, true), saidOf(text, false)]);
}

function saidOf(text: string, isOne: boolean): string {
  return text
    .replaceAll(/\$\{(waiting|refuses|waitingFor\(\w+\))\}/g, '')
    .replaceAll(/\$\{counted\([^']*, '([^']*)'(?:, '([^']*)')?\)\}/g, (_, one: string, many = `${one}s`) => {
      return isOne ? `7 ${one}` : `7 ${many}`;
    })
    .replaceAll(/\$\{[^}]* === 1 \? '([^']*)' : '([^']*)'\}/g, (_, one: string, many: string) => (isOne ? one : many))
    .replaceAll(/\$\{[^}]*\}/g, '7');
}

it.each([
  ['reports/why-report.ts', /\b(?:good|bad)\(\s*'\w+',\s*(['`])([^]*?)\1,?\s*\)/g, 20],
  ['reports/set-report.ts', /\b(?:no|yes)\((['`])([^]*?)\1\)/g, 8],
  ['reports/set-report.ts', /return (?:leading\?\.says \|\| |[^;\n]*\? )?(['`])([a-z][^'`]*)\1/g, 3],
  ['reports/cluster-report.ts', /return (?:says \?\? )?\n?\s*(['`])([a-z][^'`]*)\1/g, 4],
  ['alerts/alert-rules.ts', /add\([^`;]*?(`)([^`]*)`/g, 6],
])('every sentence of %s has a translation (%#)', (file, call, least) => {
  // What is put together of parts is below.
  const found = sentencesIn(file, call).filter((text) => text.includes(' ') && !/^7; | 7 7:/.test(text));
  expect(found.length).toBeGreaterThanOrEqual(least);
  expect(found.filter((text) => !isChinese(chineseOf(text)))).toEqual([]);
});

it('keeps what stands in it, takes the longest that fits, and leaves alone what it does not know', () => {
  expect(chineseOf('client vm@1 holds it until 2026, attempt 2')).toBe('客户端 vm@1 持有它至 2026，第 2 次投递');
  expect(chineseOf('attempt 3 did not end well; it is due again now')).toBe('第 3 次投递消费失败；现在可再次投递');
  expect(chineseOf('follows b-0-a/1')).toBe('跟随 b-0-a/1');
  expect(chineseOf('1 message waits for group a')).toBe('消费者组 a 积压 1 条消息');
  expect(chineseOf('1 member of a reads b')).toBe('消费者组 a 有 1 个成员订阅 b');
  expect(chineseOf('1 of 3 members wants it')).toBe('3 个成员中有 1 个的过滤条件匹配');
  expect(chineseOf('5 messages wait for group a.b, and nobody consumes')).toBe(
    '消费者组 a.b 积压 5 条消息，且没有消费者',
  );
  expect(chineseOf('broker set b-0: no leader: waiting for m1, m2')).toBe('Broker 组 b-0：没有主节点：等待 m1, m2');
  expect(chineseOf('the certificate of 10.0.0.1:8081 ends in 3 days: 2026')).toBe(
    '10.0.0.1:8081 的证书将在 3 天后过期：2026',
  );
  expect(chineseOf('something newer than this page')).toBe('something newer than this page');
  const html = 'no member wants it: its tag is "<b>", members want "a || {tag}"';
  expect(chineseOf(html)).toBe('没有成员的过滤条件匹配：其标签为“<b>”，成员要的是“a || {tag}”');
});
