import { readFileSync } from 'node:fs';
import { text, wav } from './audio.js';
import { expect, test } from './fixtures.js';
import { audio, query, track, uploads } from './server.js';

test.beforeEach(async ({ page, line }) => {
  await page.goto(line.url);
  await expect(page.getByText('New uploads go to S3')).toBeVisible();
});

const once = { tag: '@once' }; // in Chromium only: it can be done once, or another browser adds nothing to it

const input = (page) => page.locator('#files');
const entry = (page, name) => page.getByRole('list', { name: 'Uploads of this page' }).getByRole('listitem').filter({ hasText: name });
const row = (page, title) => page.getByRole('row').filter({ hasText: title });

test('an upload goes to S3 and flips the row', async ({ page, browserName }) => {
  const file = wav(`${browserName} console one.wav`);
  await input(page).setInputFiles(file);
  await expect(entry(page, `${browserName} console one.wav`)).toContainText('stored');
  await expect(row(page, `${browserName} console one`)).toContainText('s3');
  await expect(page.getByRole('list', { name: 'Events' })).toContainText(`ready: ${browserName} console one`);
  const { id } = await track(`${browserName} console one`);
  expect(await audio(id)).toEqual(readFileSync(file));
});

test('a file above the limit of one PUT goes in parts', once, async ({ page, browserName }) => {
  const file = wav(`${browserName} console large.wav`, 70 << 20);
  await input(page).setInputFiles(file);
  await expect(entry(page, `${browserName} console large.wav`)).toContainText('stored', { timeout: 60_000 });
  const { id } = await track(`${browserName} console large`);
  expect((await audio(id)).equals(readFileSync(file))).toBe(true);
  const [upload] = await query('SELECT method FROM track_uploads WHERE track_id = $1', id);
  expect(upload.method).toBe('multipart');
});

test('files can be dropped, several at once', once, async ({ page, browserName }) => {
  const names = [`${browserName} console drop 1`, `${browserName} console drop 2`, `${browserName} console drop 3`];
  const data = await page.evaluateHandle((files) => {
    const transfer = new DataTransfer();
    for (const [name, base64] of files) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      transfer.items.add(new File([bytes], `${name}.wav`, { type: 'audio/wav' }));
    }
    return transfer;
  }, names.map((name) => [name, readFileSync(wav(`${name}.wav`)).toString('base64')]));
  await page.locator('#drop').dispatchEvent('drop', { dataTransfer: data });
  for (const name of names) await expect(entry(page, name)).toContainText('stored');
});

test('a text file that is named .wav is refused, with the reason', async ({ page, browserName }) => {
  await input(page).setInputFiles(text(`${browserName} console liar.wav`));
  await expect(entry(page, `${browserName} console liar.wav`)).toContainText('failed');
  await expect(entry(page, `${browserName} console liar.wav`)).toContainText('the bytes are');
});

test('a file of no audio type is refused before anything is sent', once, async ({ page, browserName }) => {
  await input(page).setInputFiles(text(`${browserName} console notes.txt`));
  await expect(entry(page, `${browserName} console notes.txt`)).toContainText('failed');
  await expect(entry(page, `${browserName} console notes.txt`).locator('.why')).not.toBeEmpty();
});

test('an upload can be cancelled', async ({ page, line, browserName }) => {
  line.rate = 2 << 20;
  await input(page).setInputFiles(wav(`${browserName} console cancel.wav`, 30 << 20));
  await expect(entry(page, `${browserName} console cancel.wav`)).toContainText(/[1-9]\d? %/);
  await page.getByRole('button', { name: `Cancel ${browserName} console cancel.wav` }).click();
  await expect(entry(page, `${browserName} console cancel.wav`)).toContainText('cancelled');
  await expect.poll(() => uploads(`${browserName} console cancel`)).toMatchObject([{ state: 'aborted' }]);
});

test('a cut network does not end an upload', once, async ({ page, line, browserName }) => {
  line.rate = 4 << 20;
  const file = wav(`${browserName} console cut.wav`, 20 << 20);
  await input(page).setInputFiles(file);
  await expect(entry(page, `${browserName} console cut.wav`)).toContainText(/[1-9]\d? %/);
  line.down = true;
  line.cut();
  await page.waitForTimeout(1000);
  line.down = false;
  line.rate = 0;
  await expect(entry(page, `${browserName} console cut.wav`)).toContainText('stored', { timeout: 60_000 });
  const { id } = await track(`${browserName} console cut`);
  expect((await audio(id)).equals(readFileSync(file))).toBe(true);
});

test('the migration moves the seeded tracks, which can still be played', once, async ({ page }) => {
  const [{ n }] = await query("SELECT count(*)::int AS n FROM tracks WHERE storage_backend = 'local' AND file_path <> ''");
  expect(n).toBeGreaterThan(0);
  const [seeded] = await query("SELECT id, title FROM tracks WHERE storage_backend = 'local' AND file_path <> '' ORDER BY id LIMIT 1");
  const before = await audio(seeded.id);
  await page.getByRole('button', { name: 'Start migration' }).click();
  await expect(page.getByText('Every track is on S3.')).toBeVisible({ timeout: 60_000 });
  await expect(row(page, seeded.title)).toContainText('s3');
  expect((await audio(seeded.id)).equals(before)).toBe(true);

  await page.getByRole('button', { name: `Play ${seeded.title}`, exact: true }).click();
  await expect.poll(() => page.locator('#player').evaluate((player) => player.duration)).toBeGreaterThan(0);
});

test('an upload can be paused, and goes on', async ({ page, line, browserName }) => {
  const name = `${browserName} console pause`;
  line.rate = 4 << 20;
  const file = wav(`${name}.wav`, 20 << 20);
  await input(page).setInputFiles(file);
  await expect(entry(page, `${name}.wav`)).toContainText(/[1-9]\d? %/);
  await page.getByRole('button', { name: `Pause ${name}.wav` }).press('Enter');
  await expect(entry(page, `${name}.wav`)).toContainText('paused');
  line.rate = 0;
  await expect(page.getByRole('button', { name: `Resume ${name}.wav` })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(entry(page, `${name}.wav`)).toContainText('stored');
  expect((await audio((await track(name)).id)).equals(readFileSync(file))).toBe(true);
});

test('what was left open is listed, and can be aborted', async ({ page, line, browserName }) => {
  const name = `${browserName} console open`;
  line.rate = 1 << 20;
  await input(page).setInputFiles(wav(`${name}.wav`, 20 << 20));
  await expect(entry(page, `${name}.wav`)).toContainText('%');
  const abort = page.getByRole('button', { name: `Abort ${name}` });
  await expect(abort).toHaveCount(0); // this page is sending it
  await page.reload();
  await abort.click();
  await expect(abort).toHaveCount(0);
  expect(await uploads(name)).toMatchObject([{ state: 'aborted' }]);
});

test('a track can be renamed, by the keyboard', async ({ page, browserName }) => {
  const [old, title] = [`${browserName} console old`, `${browserName} console Étude`];
  await input(page).setInputFiles(wav(`${old}.wav`));
  await page.getByRole('button', { name: `Rename ${old}` }).press('Enter');
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Title')).toHaveValue(old);
  await dialog.getByLabel('Title').fill('   ');
  await page.keyboard.press('Enter');
  await expect(dialog.getByRole('alert')).not.toBeEmpty();
  await dialog.getByLabel('Title').fill(title);
  await page.keyboard.press('Enter');
  await expect(row(page, title)).toBeVisible();
  await expect(dialog).toBeHidden();
  expect((await track(title)).title).toBe(title);
});

test('it works from the keyboard', async ({ page, browserName }) => {
  await page.keyboard.press('Tab');
  await expect(page.getByText('Skip to content')).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(input(page)).toBeFocused();
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles(wav(`${browserName} console keys.wav`));
  await expect(entry(page, `${browserName} console keys.wav`)).toContainText('stored');
});

for (const scheme of ['light', 'dark']) {
  for (const [device, width, height] of [['desktop', 1100, 800], ['phone', 375, 740]]) {
    test(`it fits: ${device}, ${scheme}`, scheme === 'dark' ? once : {}, async ({ page, browserName }) => {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height });
      await input(page).setInputFiles([wav(`${browserName} console ${device} ${scheme}.wav`), text(`${browserName} console liar ${device} ${scheme}.wav`)]);
      await expect(entry(page, `${browserName} console ${device} ${scheme}.wav`)).toContainText('stored');
      await expect(entry(page, `${browserName} console liar ${device} ${scheme}.wav`)).toContainText('failed');
      await page.screenshot({ path: `shots/console-${device}-${scheme}.png`, fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow).toBe(0);
      expect(await lowContrast(page)).toEqual([]);
    });
  }
}

// lowContrast lists visible texts below WCAG 2's 4.5 to 1.
function lowContrast(page) {
  return page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return canvas.getImageData(0, 0, 1, 1).data;
    };
    const luminance = ([r, g, b]) => [r, g, b]
      .map((c) => (c /= 255, c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const background = (node) => {
      for (; node; node = node.parentElement) {
        const color = rgba(getComputedStyle(node).backgroundColor);
        if (color[3] === 255) return color;
      }
      return rgba('white');
    };
    const low = [];
    for (const node of document.querySelectorAll('body *')) {
      const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
      if (!own || !node.checkVisibility() || node.disabled) continue;
      const [a, b] = [luminance(rgba(getComputedStyle(node).color)), luminance(background(node))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) low.push(`${node.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return low;
  });
}
