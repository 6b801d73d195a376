import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page, type Response } from 'playwright-core';

import { ensure } from '../../tools/debian/ensure.mjs';
import { root } from './process.js';

/** Where pictures of the console go; the documents show them. */
const pictures = join(root, 'dist/screenshots');
const axeSource = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeViolation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** Also one that came up after its test had stopped waiting for it: nothing ends while it runs. */
const browsers: Promise<Browser>[] = [];
afterAll(async () => {
  for (const launched of browsers.splice(0)) await launched.then((browser) => browser.close()).catch(() => undefined);
}, 120_000);

/** Debian's Chromium, with one page that notes everything that goes wrong in it and everything it asks for. */
export class ConsoleBrowser {
  readonly faults: string[] = [];
  readonly answers: Response[] = [];
  private constructor(
    private readonly browser: Browser,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('pageerror', (error) => this.faults.push(`error: ${error.message}`));
    page.on('console', (message) => {
      // What the browser says of answers that are no success: those are the tests' own doing, and looked at by them.
      const isAnswer = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isAnswer) this.faults.push(`console: ${message.text()}`);
    });
    page.on('response', (response) => this.answers.push(response));
  }

  static async open(baseURL: string): Promise<ConsoleBrowser> {
    const executablePath = ensure('chromium', 'chromium');
    const launched = chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    browsers.push(launched);
    const browser = await launched;
    const context = await browser.newContext({
      baseURL,
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      colorScheme: 'light',
    });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000); // So that what was waited for is named.
    return new ConsoleBrowser(browser, context, page);
  }

  /** What axe finds wrong with the page as it stands, a line each. */
  async accessibility(): Promise<string[]> {
    await this.page.evaluate(axeSource);
    const violations = await this.page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } };
      return (await axe.run()).violations;
    });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary = '' }) => `${id}: ${help}: ${html} ${failureSummary}`),
    );
  }

  async picture(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: join(pictures, `${name}.png`), animations: 'disabled' });
  }

  async close(): Promise<void> {
    await this.browser.close();
  }
}
