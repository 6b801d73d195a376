/**
 * README.md as a list of its fenced code blocks, in order. A heading that ends in a file name in backticks says what the
 * first block below it is to be saved as: "### Java: `Hello.java`".
 */

/** @typedef {{ heading: string, language: string, file: string | undefined, text: string, line: number }} Block */

/** @returns {Block[]} */
export function blocksOf(markdown) {
  const blocks = [];
  let heading = '';
  let file;
  let open;
  for (const [at, line] of markdown.split('\n').entries()) {
    const fence = /^```(\S*)/.exec(line);
    if (open !== undefined) {
      if (line === '```') {
        blocks.push({ ...open, text: `${open.lines.join('\n')}\n`, lines: undefined });
        open = undefined;
      } else open.lines.push(line);
    } else if (fence !== null) {
      open = { heading, language: fence[1], file, line: at + 1, lines: [] };
      file = undefined;
    } else if (/^#+ /.test(line)) {
      const named = /^#+ ([^`]*?):? `([^`]+)`$/.exec(line);
      heading = named?.[1] ?? line.replace(/^#+ /, '');
      file = named?.[2];
    }
  }
  if (open !== undefined) throw new Error(`the block in line ${open.line} is not closed`);
  return blocks;
}

/** The commands of a shell block: lines, with those that end in a backslash joined. Comments are the shell's business. */
export function commandsOf(text) {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
