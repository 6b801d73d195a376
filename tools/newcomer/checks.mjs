/** Counts what was tried, and says each as soon as it is known. */
const lineMax = 25;

/** Thrown through a part of which a step failed that all others stand on. */
class PartEnded extends Error {}

export class Checks {
  #passed = 0;
  #failures = [];
  #leftOut = 0;
  #nothingLeftOut;
  #startMs = performance.now();

  constructor({ nothingLeftOut }) {
    this.#nothingLeftOut = nothingLeftOut;
  }

  /** @returns whether it held */
  async check(what, act) {
    const startMs = performance.now();
    try {
      await act();
      this.#passed += 1;
      console.log(`✓ ${what} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
      return true;
    } catch (error) {
      this.fail(what, error);
      return false;
    }
  }

  /** One that the rest of its part stands on. */
  async must(what, act) {
    if (!(await this.check(what, act))) throw new PartEnded();
  }

  /** Goes on after a part that ended early. */
  async part(act) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof PartEnded)) throw error;
      console.log('  … what stands on it was not tried');
    }
  }

  fail(what, error) {
    this.#failures.push(what);
    const told = (error instanceof Error ? error.message : String(error)).split('\n').slice(0, lineMax);
    console.log(`✗ ${what}\n${told.map((line) => `    ${line}`).join('\n')}`);
  }

  leaveOut(what, why) {
    if (this.#nothingLeftOut) this.fail(what, new Error(why));
    else {
      this.#leftOut += 1;
      console.log(`○ skipped: ${what}: ${why}`);
    }
  }

  note(text) {
    console.log(`  ${text}`);
  }

  /** The last lines. @returns the exit code */
  end() {
    const { length: failed } = this.#failures;
    if (failed > 0) console.log(`\nWhat failed:\n${this.#failures.map((what) => `  ${what}`).join('\n')}`);
    console.log(`\na newcomer's first minutes in ${Math.round((performance.now() - this.#startMs) / 1000)} s`);
    console.log(`${this.#passed} passed, ${failed} failed${this.#leftOut > 0 ? `, ${this.#leftOut} skipped` : ''}`);
    return failed === 0 ? 0 : 1;
  }
}
