/** What is said while a command is made ready. On stderr: stdout belongs to the command. */
export function say(line) {
  process.stderr.write(`cometmq: ${line}\n`);
}

/** Nothing more can be done; its message says why, and what to do. */
export class Stop extends Error {}
