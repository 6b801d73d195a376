import { hashBytes } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MessageProperties } from './properties.js';

/**
 * A tag expression: nothing or `*` wants everything; else tags joined by `||`, spaces around them and empty pieces
 * ignored. A tag is compared as it is, case and all. A message without a tag is wanted by `*` only.
 */
export class TagFilter {
  readonly cost = 1;
  readonly key: string;
  readonly hashes: readonly number[];
  private readonly hashSet: ReadonlySet<number> | undefined;

  private constructor(
    readonly all: boolean,
    private readonly tags: readonly Buffer[],
  ) {
    this.hashes = [...new Set(tags.map(hashBytes))];
    this.hashSet = this.hashes.length > fewTags ? new Set(this.hashes) : undefined;
    this.key = all ? '*' : `tag ${tags.map(String).join('||')}`;
  }

  /** @throws MqError ILLEGAL_FILTER_EXPRESSION */
  static parse(expression: string): TagFilter {
    const text = expression.trim();
    if (text === '' || text === '*') return new TagFilter(true, []);
    const pieces = text.split('||').map((piece) => piece.trim());
    const tags = [...new Set(pieces.filter((piece) => piece !== ''))].sort();
    if (tags.length === 0) {
      throw new MqError(
        'ILLEGAL_FILTER_EXPRESSION',
        'the tag expression names no tag; give tags joined by "||", or "*" for everything',
      );
    }
    return new TagFilter(
      false,
      tags.map((tag) => Buffer.from(tag, 'utf8')),
    );
  }

  wants(tagHash: number): boolean {
    if (this.all) return true;
    return this.hashSet ? this.hashSet.has(tagHash) : this.hashes.includes(tagHash);
  }

  wantsMessage({ tag }: MessageProperties): boolean {
    if (this.all) return true;
    if (tag.length === 0 || (this.hashSet && !this.hashSet.has(hashBytes(tag)))) return false;
    for (const wanted of this.tags) if (wanted.length === tag.length && wanted.equals(tag)) return true;
    return false;
  }
}

/** Up to this many, looking through a list is faster than a set. */
const fewTags = 8;
