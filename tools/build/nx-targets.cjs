/**
 * Gives every project the targets that all projects have, so that a project.json says only what its project is:
 * lint, test and typecheck for all, build for the apps. What they run is what `npm test` and `npm start` run.
 */
const { dirname, basename } = require('node:path');

const command = (line, more = {}) => ({
  executor: 'nx:run-commands',
  options: { command: line, cwd: '{workspaceRoot}' },
  cache: true,
  inputs: ['default', '^default'],
  ...more,
});

function targetsOf(root) {
  const targets = {
    lint: command(`eslint --no-warn-ignored --no-error-on-unmatched-pattern ${root}`),
    // What starts real processes depends on more than its sources.
    test: command(`jest --passWithNoTests ${root}/`, root.startsWith('e2e') ? { cache: false } : {}),
    typecheck: command(`node tools/build/typecheck.mjs ${root}`),
  };
  if (root.startsWith('apps/')) {
    const outputs = [`{workspaceRoot}/dist/apps/${basename(root)}`];
    targets.build = command(`node tools/build/build.mjs ${basename(root)}`, { outputs });
  }
  return targets;
}

module.exports = {
  name: 'cometmq-targets',
  createNodes: [
    '{libs/*,apps/*,e2e,tools}/project.json',
    (files) =>
      files.map((file) => {
        const root = dirname(file);
        return [file, { projects: { [root]: { root, targets: targetsOf(root) } } }];
      }),
  ],
};
