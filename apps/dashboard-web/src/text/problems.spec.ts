// Goal: what goes wrong is said in the language chosen, and nothing of it is lost. Method: all sentences of the API, with all that
// stands in them; that each has a translation the compiler checks, and this once more as the console runs.
import { ApiError } from '../api/client.js';
import { problemText, zhSentences } from './problems.js';

/** Not imported, as types of the console are made without those of the servers. */
const { sentences } = jest.requireActual<{ readonly sentences: Readonly<Record<string, readonly string[]>> }>(
  '@cometmq/admin/testing',
);
const own = ['apiAway', 'notTheApi', 'searchBroken'];

it('every sentence has a translation, and nothing stands in it that the API does not say', () => {
  expect(Object.keys(zhSentences).sort()).toEqual([...Object.keys(sentences), ...own].sort());
  for (const [sentence, texts] of Object.entries(sentences)) {
    const zh = zhSentences[sentence as keyof typeof zhSentences];
    expect({ sentence, isChinese: /\p{sc=Han}/u.test(zh) }).toEqual({ sentence, isChinese: true });
    const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    const said = new Set(texts.flatMap(names));
    expect({ sentence, unknown: names(zh).filter((name) => !said.has(name)) }).toEqual({ sentence, unknown: [] });
  }
});

it('says it with what stands in it, and of what has no translation what kind it is', () => {
  const known = { code: 'TOPIC_NOT_FOUND', detail: 'there is no topic "a<b>"' } as const;
  const error = ApiError.ofProblem({ ...known, sentence: 'noTopic', params: { name: 'a<b>' } }, 404);
  expect(problemText('zh', error)).toBe('主题 “a<b>” 不存在');
  expect(problemText('en', error)).toBe('there is no topic "a<b>"');
  expect(problemText('zh', ApiError.ofProblem(known, 404))).toBe('主题不存在（there is no topic "a<b>"）');
  expect(problemText('zh', ApiError.ofProblem({}, 502))).toBe('内部错误（HTTP 502）');
  expect(problemText('zh', ApiError.of('apiAway'))).toBe('无法连接 REST API');
  // A newer API than this page: what it says is not known here.
  const newer = { ...known, sentence: 'neverHeardOf' as never, params: {} };
  expect(problemText('zh', ApiError.ofProblem(newer, 404))).toContain('there is no topic');
});
