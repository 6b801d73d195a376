export const packagesFile: string;
export function packagesOf(paths: readonly string[]): string[];
export function writePackages(folder: string, paths: readonly string[]): void;
