// What the tests of all pages share: a line of their own between the browser and the stack, and a watch on the page's errors.
import { expect, test as base } from '@playwright/test';
import { Line } from './line.js';

export { expect };

export const test = base.extend({
  line: async ({}, use, { parallelIndex }) => {
    const { E2E_URL: api, E2E_STORAGE: storage, E2E_LINES: ports } = process.env;
    const line = await new Line(api, storage).open(Number(ports.split(',')[parallelIndex]));
    await use(line);
    line.close();
  },
  page: async ({ page }, use) => {
    const wrong = [];
    // Firefox tells as an error, too, what tests provoke: a request that is cut, a worker and a style that are forbidden.
    page.on('pageerror', ({ message }) => {
      if (!/Same Origin Policy|worker-src|style-src/.test(message)) wrong.push(message);
    });
    await use(page);
    expect(wrong).toEqual([]);
  },
});
