import { MqError } from '@cometmq/shared';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml';

import type { Place } from './imported.js';

/**
 * A YAML or JSON file with the line of everything in it. What is wrong is told without the text around it, which may be a
 * secret: YAML's own messages quote it.
 */
export class YamlFile {
  readonly root: unknown;
  private readonly lines = new LineCounter();

  /** @throws MqError CONFIG */
  constructor(
    readonly file: string,
    text: string,
  ) {
    try {
      const document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false, logLevel: 'silent' });
      const [wrong] = [...document.errors, ...document.warnings];
      if (wrong) throw this.wrongAt(this.lineAt(wrong.pos[0]), `no valid YAML or JSON: ${explained(wrong.code)}`);
      this.root = document.contents;
    } catch (caught) {
      // The parser gives up on lists in lists in lists by running out of stack.
      throw caught instanceof RangeError ? this.wrongAt(1, 'no valid YAML or JSON: too deep') : caught;
    }
  }

  placeOf(node: unknown): Place {
    const start = (node as Node | null)?.range?.[0];
    return { file: this.file, line: this.lineAt(start ?? 0) };
  }

  wrong(node: unknown, why: string): MqError {
    return this.wrongAt(this.placeOf(node).line, why);
  }

  /** The fields of a map. @throws MqError CONFIG */
  fields(node: unknown, what: string): ReadonlyMap<string, unknown> {
    if (!isMap(node)) throw this.wrong(node, `${what} must be a map with fields`);
    return new Map(
      node.items.map(({ key, value }) => {
        if (!isScalar(key)) throw this.wrong(key, `the name of a field of ${what} must be a word`);
        return [String(key.value), value ?? key] as const;
      }),
    );
  }

  /** The items of a list; none where there is nothing. @throws MqError CONFIG */
  items(node: unknown, what: string): readonly unknown[] {
    if (isNothing(node)) return [];
    if (!isSeq(node)) throw this.wrong(node, `${what} must be a list`);
    return node.items;
  }

  /** As it is written, so that 0012 stays what it is; undefined where there is nothing. @throws MqError CONFIG */
  text(node: unknown, what: string): string | undefined {
    if (isNothing(node)) return undefined;
    if (isAlias(node)) throw this.wrong(node, `${what}: ${explained('BAD_ALIAS')}`);
    if (!isScalar(node)) throw this.wrong(node, `${what} must be one word`);
    const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    return text.trim() === '' ? undefined : text.trim();
  }

  private lineAt(offset: number): number {
    return Math.max(this.lines.linePos(offset).line, 1);
  }

  private wrongAt(line: number, why: string): MqError {
    return new MqError('CONFIG', `${this.file}:${line}: ${why}`);
  }
}

function isNothing(node: unknown): boolean {
  return node === undefined || node === null || (isScalar(node) && node.value === null);
}

const explanations: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'a value that begins with "*" must be quoted',
  BAD_INDENT: 'the indentation does not fit what is around it',
  BAD_SCALAR_START: 'a value that begins with "@" or "`" must be quoted',
  DUPLICATE_KEY: 'a field is given twice',
  MULTILINE_IMPLICIT_KEY: 'a field must stand on one line',
  MISSING_CHAR: 'a closing quote, a bracket or a colon is missing',
  MULTIPLE_DOCS: 'there is more than one document',
  TAB_AS_INDENT: 'indentation must be of spaces',
  TAG_RESOLVE_FAILED: 'a value that begins with "!" must be quoted',
  UNEXPECTED_TOKEN: 'something stands where it does not belong',
};

function explained(code: string): string {
  return explanations[code] ?? code.toLowerCase().replaceAll('_', ' ');
}
