export interface Block {
  readonly heading: string;
  readonly language: string;
  /** What the block is to be saved as, where its heading says so. */
  readonly file: string | undefined;
  readonly text: string;
  /** Where the block begins, counted from 1. */
  readonly line: number;
}
export function blocksOf(markdown: string): Block[];
export function commandsOf(text: string): string[];
