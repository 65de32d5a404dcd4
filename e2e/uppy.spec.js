// The unmodified Uppy, on a page of another origin than the API and the storage.
import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { text, wav } from './audio.js';
import { audio, companion, query, throttle, track } from './server.js';

const MIB = 1 << 20;

// open shows the Uppy page with a companion session; multipart forces parts.
async function open(page, id, { multipart = false, url } = {}) {
  const query = new URLSearchParams({ companion: url ?? await companion(), id });
  if (multipart) query.set('multipart', '');
  await page.goto(`${process.env.E2E_UPPY}/?${query}`);
  await expect(page.getByText(/Drop files here/)).toBeVisible();
}

const choose = (page, ...files) => page.locator('input.uppy-Dashboard-input:not([webkitdirectory])').first().setInputFiles(files);
const press = (page, name) => page.getByRole('button', { name }).first().click();
const done = (page, ...names) => expect.poll(() => page.evaluate(() => window.done.toSorted()), { timeout: 60_000 }).toEqual(names.toSorted());
const percent = (page) => page.evaluate(() => uppy.getState().totalProgress);

async function same(title, file) {
  const row = await track(title);
  expect(row.storage_backend).toBe('s3');
  expect((await audio(row.id)).equals(readFileSync(file))).toBe(true);
}

test('single', async ({ page }) => {
  const file = wav('uppy single.wav');
  await open(page, 'single');
  await choose(page, file);
  await page.screenshot({ path: 'shots/uppy-chosen.png' });
  await press(page, /^Upload 1 file/);
  await done(page, 'uppy single.wav');
  await page.screenshot({ path: 'shots/uppy-done.png' });
  await same('uppy single', file);
});

// The page, the API and the storage are of three origins.
test('what was uploaded is fetched by the page', async ({ page }) => {
  const file = wav('uppy fetched.wav');
  await open(page, 'fetched');
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, 'uppy fetched.wav');
  const { id } = await track('uppy fetched');
  const got = await page.evaluate(async ([url, token]) => {
    const fetched = async (init) => {
      const answer = await fetch(url, { ...init, headers: { Authorization: `Bearer ${token}`, ...init.headers } });
      return [answer.status, (await answer.arrayBuffer()).byteLength, answer.headers.get('Content-Length')];
    };
    return [await fetched({}), await fetched({ headers: { Range: 'bytes=0-3' } }), await fetched({ method: 'HEAD' })];
  }, [`${process.env.E2E_URL}/v1/tracks/${id}/audio`, process.env.E2E_TOKEN]);
  const size = readFileSync(file).length;
  expect(got).toEqual([[200, size, String(size)], [206, 4, '4'], [200, 0, String(size)]]);
});

test('multipart', async ({ page }) => {
  const file = wav('uppy parts.wav', 18 * MIB);
  await open(page, 'parts', { multipart: true });
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, 'uppy parts.wav');
  await same('uppy parts', file);
});

test('a small file in one part', async ({ page }) => {
  const file = wav('uppy small part.wav');
  await open(page, 'small', { multipart: true });
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, 'uppy small part.wav');
  await same('uppy small part', file);
});

test('three at once', async ({ page }) => {
  const names = ['uppy a.wav', 'uppy b.wav', 'uppy c.wav'];
  const files = names.map((name, i) => wav(name, (1 + 6 * i) * MIB));
  await open(page, 'three', { multipart: true });
  await choose(page, ...files);
  await press(page, /^Upload 3 files/);
  await done(page, ...names);
  for (const [i, name] of names.entries()) await same(name.replace('.wav', ''), files[i]);
});

test('cancel', async ({ page }) => {
  await open(page, 'cancel', { multipart: true });
  await throttle(page, 3 * MIB);
  await choose(page, wav('uppy cancel.wav', 30 * MIB));
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(20);
  await press(page, 'Cancel');
  await expect.poll(async () => {
    const [upload] = await query("SELECT u.state FROM track_uploads u JOIN tracks t ON t.id = u.track_id WHERE t.title = 'uppy cancel'");
    return upload?.state;
  }).toBe('aborted');
});

test('pause and resume', async ({ page }) => {
  const file = wav('uppy pause.wav', 30 * MIB);
  await open(page, 'pause', { multipart: true });
  await throttle(page, 6 * MIB);
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(30);
  await press(page, 'Pause');
  await page.waitForTimeout(1000);
  const paused = await percent(page);
  await page.waitForTimeout(1500);
  expect(await percent(page)).toBe(paused);
  await page.screenshot({ path: 'shots/uppy-paused.png' });
  await throttle(page, 0);
  await press(page, 'Resume');
  await done(page, 'uppy pause.wav');
  await same('uppy pause', file);
});

test('reload and resume', async ({ page }) => {
  const file = wav('uppy reload.wav', 40 * MIB);
  await open(page, 'reload', { multipart: true });
  await throttle(page, 8 * MIB);
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page), { timeout: 60_000 }).toBeGreaterThan(50);

  const sent = [];
  page.on('request', (request) => {
    const part = request.method() === 'PUT' && new URL(request.url()).searchParams.get('partNumber');
    if (part) sent.push(Number(part));
  });
  await page.reload();
  await throttle(page, 0);
  await expect(page.getByText('uppy reload.wav').first()).toBeVisible();
  await page.screenshot({ path: 'shots/uppy-reloaded.png' });
  // Golden Retriever keeps no file above 10 MiB, and asks for it.
  await press(page, 'Re-select');
  await choose(page, file);
  await press(page, /Resume|Upload 1 file/);
  await done(page, 'uppy reload.wav');
  await same('uppy reload', file);
  expect(sent.length).toBeGreaterThan(0);
  expect(sent.length).toBeLessThan(8); // of 8 parts of 5 MiB, those sent before stay
});

test('a text file that is named .wav never becomes a track to play', async ({ page }) => {
  await open(page, 'liar');
  await choose(page, text('uppy liar.wav'));
  await press(page, /^Upload 1 file/);
  const row = await track('uppy liar', 'failed');
  const [upload] = await query('SELECT state, reason FROM track_uploads WHERE track_id = $1', row.id);
  expect(upload).toEqual({ state: 'failed', reason: 'not_audio' });
});

test('an expired session is refused, and the page is told', async ({ page }) => {
  const url = await companion();
  await open(page, 'expired', { url });
  await expire(url);
  await choose(page, wav('uppy expired.wav'));
  await press(page, /^Upload 1 file/);
  await expect.poll(() => page.evaluate(() => window.failed)).toEqual([['uppy expired.wav', expect.stringContaining('Unauthorized')]]);
  expect(await query("SELECT FROM tracks WHERE title = 'uppy expired'")).toEqual([]);
});

test('the network is cut in the middle', async ({ page }) => {
  const file = wav('uppy cut.wav', 30 * MIB);
  await open(page, 'cut', { multipart: true });
  await throttle(page, 6 * MIB);
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(30);
  await throttle(page, 0, true);
  await page.waitForTimeout(2000);
  await throttle(page, 0);
  // Uppy tries a few times on its own, and offers a button when it has given up.
  const retry = page.getByRole('button', { name: 'Retry' }).first();
  await expect.poll(async () => {
    if (await retry.isVisible()) await retry.click();
    return page.evaluate(() => window.done);
  }, { timeout: 60_000, intervals: [1000] }).toEqual(['uppy cut.wav']);
  await same('uppy cut', file);
});

// expire ends a companion session as if its time had passed.
async function expire(url) {
  const token = Buffer.from(new URL(url).pathname.split('/').pop(), 'base64url');
  const rows = await query(
    `UPDATE companion_sessions SET created_at = now() - interval '1 day', expires_at = now() - interval '1 second'
     WHERE token_hash = sha256($1) RETURNING 1`, token);
  expect(rows.length).toBe(1);
}
