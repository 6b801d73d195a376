/** What we use of a package that brings no types. */
declare module 'fs-native-extensions' {
  /** An exclusive advisory lock on the whole file, held until its descriptor is closed; false when another has it. */
  export function tryLock(fd: number): boolean;
}
