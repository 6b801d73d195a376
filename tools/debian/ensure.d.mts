/** The path of `binary`, or undefined. */
export function find(binary: string): string | undefined;
/** @throws Error with the command to type, where the package is missing and can't be installed from here */
export function ensure(binary: string, debianPackage: string, say?: (line: string) => void): string;
