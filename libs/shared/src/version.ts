/** The release this is. The same as in package.json. */
export const version = '0.1.0';
