/**
 * Goal: what the API says can be said in another language. Method: each sentence is known again with what stands in it; and what
 * the API's own code says to a caller is read from its source: it has a name, or stands here with why it needs none.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

import { saidIn, sentences } from './problem-sentences.js';
import { problemOf } from './problems.js';
import { MqError } from '@cometmq/shared';

/** Said to programs that are wrong, or not in a problem; a person at the console never meets it. */
const unnamed = [
  /^\{error\.reason\}$/, // As it was said before.
  /^\{what\}$/, // Told by who calls it.
  /^\{shown\.join/, // Several of the others.
  /^the request can not be read$|^\{.*\}the request can not be read$/,
  /^the token is too long$|^the token tells of an event/,
  /^the reader |^the request was not sent to its end$/, // Nobody is there to be told.
  /^\{.*\}: \{.*\}(; try again)?$/, // A broker set and what it said.
  /^one of secret, newSecret and reseal may be given$/,
];

/** Texts of MqErrors in a file, with `{…}` for what is put in. */
function textsIn(file: string): string[] {
  const found: string[] = [];
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const textOf = (node: ts.Expression): string => {
    if (ts.isStringLiteralLike(node)) return node.text;
    if (ts.isTemplateExpression(node)) {
      return node.head.text + node.templateSpans.map((s) => `{${s.expression.getText()}}${s.literal.text}`).join('');
    }
    if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right);
    return `{${node.getText()}}`;
  };
  const look = (node: ts.Node): void => {
    const text = ts.isNewExpression(node) && node.expression.getText() === 'MqError' ? node.arguments?.[1] : undefined;
    if (text) found.push(textOf(text));
    ts.forEachChild(node, look);
  };
  look(source);
  return found;
}

it('every sentence is known again, with what stands in it', () => {
  for (const [sentence, texts] of Object.entries(sentences)) {
    for (const text of texts) {
      const params: Record<string, string> = {};
      const detail = text.replace(/\{(\w+)\}/g, (_, name: string) => {
        return (params[name] =
          name === 'count' || name.endsWith('Ms') ? '17' : name === 'where' ? 'body.x' : `a ${name}`);
      });
      expect({ detail, said: saidIn(detail) }).toEqual({ detail, said: { sentence, params } });
    }
  }
});

it('what the API says to a person has a name', () => {
  const folder = join(__dirname, '..');
  const files = globSync(['api/*.ts', 'dead-letters/*.ts', 'reports/*.ts', 'within.ts'], { cwd: folder });
  const texts = files.filter((file) => !file.endsWith('.spec.ts')).flatMap((file) => textsIn(join(folder, file)));
  expect(texts.length).toBeGreaterThan(50);
  const nameless = texts.filter(
    (text) => saidIn(text.replace(/\{[^}]*\}/g, '17')) === undefined && !unnamed.some((known) => known.test(text)),
  );
  // A new one belongs into `sentences`, and its translation into the console's `text/problems.ts`.
  expect(nameless).toEqual([]);
});

it('a problem says its sentence, and one that has none is text alone', () => {
  expect(problemOf(new MqError('TOPIC_NOT_FOUND', 'there is no topic "a"'))).toMatchObject({
    ...{ sentence: 'noTopic', params: { name: 'a' } },
  });
  const other = problemOf(new MqError('CONFLICT', 'what nobody has ever said'));
  expect(Object.keys(other)).toEqual(['type', 'title', 'status', 'detail', 'code']);
  expect(saidIn(`there is no topic "${'a'.repeat(5_000)}"`)).toBeUndefined();
});

it('what a caller has put into a text keeps nobody busy', async () => {
  // Each part of it ends a parameter of some sentence: tried in all ways, it takes half a minute, and the time for this is over.
  const parts = [' may not ', ' on ', ' "', '" from '].map((part) => part.repeat(Math.floor(235 / part.length)));
  expect(saidIn(`user a may not get on topic "${parts.join('')};`)).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 0));
}, 10_000);
