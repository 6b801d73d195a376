/**
 * Whoever ships CometMQ ships what it stands on: every package that is not for development only must come under a
 * licence of the list below. `node tools/lint/licences.mjs` prints the offenders and exits with 1.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const allowed = new Set([
  ...['Apache-2.0', 'MIT', 'MIT-0', 'ISC', '0BSD', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause'],
  'Unlicense', // Given to the public: nothing is asked in return.
]);

/** True when an SPDX expression can be satisfied by allowed licences alone. A missing or unknown one can't. */
export function isAllowed(expression) {
  if (typeof expression !== 'string') return false;
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const one = () => {
    const token = tokens[at++];
    if (token !== '(') return allowed.has(token);
    const inner = either();
    at += 1; // The closing bracket.
    return inner;
  };
  const both = () => {
    let holds = one();
    while (tokens[at] === 'AND') {
      at += 1;
      holds = one() && holds;
    }
    return holds;
  };
  const either = () => {
    let holds = both();
    while (tokens[at] === 'OR') {
      at += 1;
      holds = both() || holds;
    }
    return holds;
  };
  return either() && at === tokens.length;
}

/** The offenders of a lock file, as "package@version: licence". */
export function wrongLicences(lock, licenceElsewhere = () => undefined) {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.dev)
    .map(([path, entry]) => ({ path, entry, licence: entry.license ?? licenceElsewhere(path) }))
    .filter(({ licence }) => !isAllowed(licence))
    .map(
      ({ path, entry, licence }) =>
        `${path.replace(/^.*node_modules\//, '')}@${entry.version}: ${licence ?? 'no licence given'}`,
    );
}

/** The offenders of the repository. */
export function wrongLicencesOf(root) {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return wrongLicences(lock, (path) => licenceOnDisk(root, path));
}

/** What an installed package says of itself, where package-lock.json says nothing. */
export function licenceOnDisk(root, path) {
  const file = join(root, path, 'package.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).license : undefined;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const wrong = wrongLicencesOf(join(import.meta.dirname, '../..'));
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
