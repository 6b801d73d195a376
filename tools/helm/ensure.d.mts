/** @throws Error where they can't be had */
export function ensureHelm(say?: (line: string) => void): { readonly helm: string; readonly kubectl: string };
/** A package of tools/helm; call ensureHelm first. */
export function fromHere(name: string): unknown;
