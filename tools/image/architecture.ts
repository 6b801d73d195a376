/** What processors an image is for, in the words of container engines, of Node.js and of its npm packages. */

export const architectures = ['amd64', 'arm64'] as const;
export type Architecture = (typeof architectures)[number];

const nodeNames: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };

/** As in `process.arch`. */
export function nodeNameOf(architecture: Architecture): string {
  return nodeNames[architecture];
}

/** The package with the project's Node.js. */
export function nodePackageOf(architecture: Architecture): string {
  return `node-linux-${nodeNameOf(architecture)}`;
}

/** @throws Error on a machine that no image can be made for without being asked for another architecture */
export function ownArchitecture(): Architecture {
  const own = architectures.find((each) => nodeNameOf(each) === process.arch);
  if (own === undefined) throw new Error(`no image for ${process.arch}: ask for ${architectures.join(' or ')}`);
  return own;
}

export function isArchitecture(text: string): text is Architecture {
  return architectures.some((each) => each === text);
}
