/**
 * Jest's reporter for `npm test`: a line for each spec file as it ends, with how far the run is, and all that failed in
 * it. The file `report` gets a line of JSON as each spec file starts and ends, so that what is known survives one that
 * never ends.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '../..');
const leftMsMax = 30_000;

export default class Reporter {
  #report;
  #done = 0;
  #total = 0;

  constructor(_, { report }) {
    this.#report = report;
  }

  onRunStart(results) {
    this.#total = results.numTotalTestSuites;
    mkdirSync(dirname(this.#report), { recursive: true });
    writeFileSync(this.#report, '');
  }

  onTestFileStart(test) {
    this.#write({ started: relative(root, test.path) });
  }

  onTestFileResult(test, result) {
    const path = relative(root, test.path);
    const broken = result.testExecError !== undefined && result.testExecError !== null;
    const failed = result.testResults.filter((one) => one.status === 'failed');
    this.#write({
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

  /** A spec that fails may leave a process or a socket behind, for which jest would wait for ever. */
  onRunComplete(_, results) {
    const end = () => {
      console.log(`jest did not end within ${leftMsMax / 1_000} s of its last spec: something was left open`);
      process.exit(results.success ? 0 : 1);
    };
    setTimeout(end, leftMsMax).unref();
  }

  #write(line) {
    appendFileSync(this.#report, `${JSON.stringify(line)}\n`);
  }
}

function counted({ numPassingTests, numFailingTests, numPendingTests }) {
  const told = [`${numPassingTests} passed`];
  if (numFailingTests > 0) told.push(`${numFailingTests} failed`);
  if (numPendingTests > 0) told.push(`${numPendingTests} skipped`);
  return told.join(', ');
}
