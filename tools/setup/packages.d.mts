/** The path of what the package at `from` gets when it asks for `name`, as Node.js looks for it. */
export function lookUp(packages: Readonly<Record<string, unknown>>, name: string, from: string): string | undefined;

/** Of the packages of a lock file, by path, those that building and running the programs takes. */
export function neededToRun<T>(packages: Readonly<Record<string, T>>): Record<string, T>;
