export function isAllowed(expression: unknown): boolean;
export function wrongLicencesOf(root: string): string[];
export function licenceOnDisk(root: string, path: string): string | undefined;
