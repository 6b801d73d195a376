import { duration } from './format.js';

const page = { documentElement: { lang: 'en' } };
beforeAll(() => Object.assign(globalThis, { document: page }));

it.each([
  [-5, '0 ms', '0 毫秒'],
  [999, '999 ms', '999 毫秒'],
  [117_000, '1 min 57 s', '1 分 57 秒'],
  [12_000_000, '3 h 20 min', '3 小时 20 分'],
  [86_400_000, '1 d', '1 天'],
])('%i ms as people read them, in the language of the page', (ms, english, chinese) => {
  page.documentElement.lang = 'en';
  expect(duration(ms)).toBe(english);
  page.documentElement.lang = 'zh';
  expect(duration(ms)).toBe(chinese);
});
