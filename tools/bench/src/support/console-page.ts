/** The console in a real browser. What it takes is told by the page's own clock: to the frame that shows what is waited for. */
import type * as Playwright from 'playwright-core';

import { ensure } from '../../../debian/ensure.mjs';

export interface ConsolePage {
  /** Types an address. Answers after how many ms the element was shown. */
  open(path: string, shows: string): Promise<number>;
  /** Clicks on a link. Answers the same. */
  click(link: string, shows: string): Promise<number>;
  close(): Promise<void>;
}

/** What of the page is touched. */
interface PageWorld {
  readonly document: { querySelector(selector: string): { click(): void } | null };
}

export async function consolePage(url: string): Promise<ConsolePage> {
  // For development only: it is in no bundle.
  const name = 'playwright-core';
  const { chromium } = (await import(name)) as typeof Playwright;
  const browser = await chromium.launch({
    executablePath: ensure('chromium', 'chromium'),
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const shownAt = async (selector: string): Promise<number> => {
    const isShown = (at: string): number | false =>
      (globalThis as unknown as PageWorld).document.querySelector(at) !== null && performance.now();
    return Number(await (await page.waitForFunction(isShown, selector, { polling: 'raf' })).jsonValue());
  };
  return {
    open: async (path, shows) => {
      await page.goto(path, { waitUntil: 'commit' });
      return shownAt(shows); // The page's clock begins with its navigation.
    },
    click: async (link, shows) => {
      const fromMs = await page.evaluate((at) => {
        const now = performance.now();
        (globalThis as unknown as PageWorld).document.querySelector(at)?.click();
        return now;
      }, link);
      return (await shownAt(shows)) - fromMs;
    },
    close: () => browser.close(),
  };
}
