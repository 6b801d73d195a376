import { hashText } from '@cometmq/model';
import { type MqError } from '@cometmq/shared';
import * as fc from 'fast-check';

import { compileFilter, expressionLengthMax } from './index.js';
import { mapProperties } from './testing.js';

const tagFilter = (expression: string) => compileFilter({ type: 'tag', expression });
const bytes = (text: string) => mapProperties({ tag: text });

describe('tag expressions', () => {
  it.each(['', '*', '  ', ' * '])('%j wants everything, also what has no tag', (expression) => {
    const filter = tagFilter(expression);
    expect(filter.all).toBe(true);
    expect(filter.wants(0)).toBe(true);
    expect(filter.wantsMessage(bytes(''))).toBe(true);
    expect(filter.wants(hashText('A'))).toBe(true);
  });

  it('wants the tags it names, trimmed, empty pieces dropped', () => {
    const filter = tagFilter(' A ||  || Tag-B||');
    for (const tag of ['A', 'Tag-B']) {
      expect(filter.wants(hashText(tag))).toBe(true);
      expect(filter.wantsMessage(bytes(tag))).toBe(true);
    }
    for (const tag of ['a', 'tag-b', 'AB', 'C']) {
      expect(filter.wants(hashText(tag))).toBe(false);
      expect(filter.wantsMessage(bytes(tag))).toBe(false);
    }
  });

  it('does not want what has no tag', () => {
    expect(tagFilter('A').wants(0)).toBe(false);
    expect(tagFilter('A').wantsMessage(bytes(''))).toBe(false);
  });

  it('takes a star beside other tags for a tag', () => {
    expect(tagFilter('A||*').all).toBe(false);
    expect(tagFilter('A||*').wantsMessage(bytes('*'))).toBe(true);
  });

  it('has one key for expressions that want the same', () => {
    expect(tagFilter('B|| A').key).toBe(tagFilter('A||B||A').key);
    expect(tagFilter('A').key).not.toBe(tagFilter('*').key);
  });

  it.each(['||', ' || ||'])('refuses %j, which names no tag', (expression) => {
    expect(() => tagFilter(expression)).toThrow(
      expect.objectContaining({ code: 'ILLEGAL_FILTER_EXPRESSION' }) as MqError,
    );
  });

  it('refuses what is too long', () => {
    const refused = expect.objectContaining({ code: 'ILLEGAL_FILTER_EXPRESSION' }) as MqError;
    expect(() => tagFilter('x'.repeat(expressionLengthMax + 1))).toThrow(refused);
  });

  // Goal: hash and exact check agree with the words. Method: any tags, many and few; seed 3.
  it('agrees with a plain comparison of texts (seed 3)', () => {
    const tag = fc.stringMatching(/^[^|\s\ud800-\udfff]{1,12}$/u);
    fc.assert(
      fc.property(fc.array(tag, { minLength: 1, maxLength: 30 }), fc.array(tag), (wanted, sent) => {
        fc.pre(!(wanted.length === 1 && wanted[0] === '*'));
        const filter = tagFilter(wanted.join(' || '));
        for (const text of [...wanted, ...sent]) {
          const expected = wanted.includes(text);
          expect(filter.wantsMessage(bytes(text))).toBe(expected);
          if (expected) expect(filter.wants(hashText(text))).toBe(true);
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});
