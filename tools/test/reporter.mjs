/**
 * Jest's reporter for `npm test`: writes a line of JSON as each spec starts and ends, so that what is known survives a
 * spec that never ends. COMETMQ_TEST_REPORT says to which file.
 */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

export default class Reporter {
  onTestFileStart(test) {
    write({ started: relative(process.cwd(), test.path) });
  }

  onTestFileResult(test, result) {
    const failed = result.testResults.filter((one) => one.status === 'failed');
    write({
      ended: relative(process.cwd(), test.path),
      passed: result.numPassingTests,
      skipped: result.numPendingTests + result.numTodoTests,
      failures: result.testExecError
        ? [`did not run: ${result.failureMessage ?? result.testExecError.message}`]
        : failed.map((one) => `${one.fullName}: ${one.failureMessages[0] ?? ''}`),
    });
  }
}

function write(line) {
  appendFileSync(process.env.COMETMQ_TEST_REPORT, `${JSON.stringify(line)}\n`);
}
