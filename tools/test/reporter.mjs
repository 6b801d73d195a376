/**
 * Jest's reporter for `npm test`: a line for each spec file as it ends, with how far the run is, and all that failed in
 * it. COMETMQ_TEST_REPORT names a file that gets a line of JSON as each spec file starts and ends, so that what is known
 * survives one that never ends.
 */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

export default class Reporter {
  #done = 0;
  #total = 0;

  onRunStart(results) {
    this.#total = results.numTotalTestSuites;
    if (this.#total > 0) console.log(`${this.#total} spec files`);
  }

  onTestFileStart(test) {
    write({ started: relative(process.cwd(), test.path) });
  }

  onTestFileResult(test, result) {
    const path = relative(process.cwd(), test.path);
    const broken = result.testExecError !== undefined && result.testExecError !== null;
    const failed = result.testResults.filter((one) => one.status === 'failed');
    write({
      ended: path,
      passed: result.numPassingTests,
      skipped: result.numPendingTests + result.numTodoTests,
      failures: broken
        ? [`did not run: ${result.failureMessage ?? result.testExecError.message}`]
        : failed.map((one) => `${one.fullName}: ${one.failureMessages[0] ?? ''}`),
    });
    this.#done += 1;
    const good = !broken && failed.length === 0;
    const seconds = ((result.perfStats.end - result.perfStats.start) / 1000).toFixed(1);
    const at = `[${String(this.#done).padStart(String(this.#total).length)}/${this.#total}]`;
    console.log(`${good ? '✓' : '✗'} ${at} ${path}: ${counted(result)}, ${seconds} s`);
    if (!good) console.log((result.failureMessage ?? '').trimEnd());
  }
}

function counted({ numPassingTests, numFailingTests, numPendingTests }) {
  const told = [`${numPassingTests} passed`];
  if (numFailingTests > 0) told.push(`${numFailingTests} failed`);
  if (numPendingTests > 0) told.push(`${numPendingTests} skipped`);
  return told.join(', ');
}

function write(line) {
  const report = process.env.COMETMQ_TEST_REPORT;
  if (report !== undefined) appendFileSync(report, `${JSON.stringify(line)}\n`);
}
