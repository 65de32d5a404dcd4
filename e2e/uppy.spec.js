// The unmodified Uppy, on a page of another origin than the API and the storage.
import { readFileSync } from 'node:fs';
import { m4a, text, wav } from './audio.js';
import { expect, test } from './fixtures.js';
import { audio, companion, query, token, track, tracks, uploads } from './server.js';

const MIB = 1 << 20;
const once = { tag: '@once' }; // in Chromium only: another browser adds nothing to it

// open shows the Uppy page with a companion session; multipart forces parts.
async function open(page, line, id, { multipart = false, url } = {}) {
  const query = new URLSearchParams({ companion: url ?? await companion(line), id });
  if (multipart) query.set('multipart', '');
  await page.goto(`${process.env.E2E_PAGES}/uppy.html?${query}`);
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

test('single', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy single.wav`);
  await open(page, line, 'single');
  await choose(page, file);
  await page.screenshot({ path: 'shots/uppy-chosen.png' });
  await press(page, /^Upload 1 file/);
  await done(page, `${browserName} uppy single.wav`);
  await page.screenshot({ path: 'shots/uppy-done.png' });
  await same(`${browserName} uppy single`, file);
});

// The page, the API and the storage are of three origins.
test('what was uploaded is fetched by the page', once, async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy fetched.wav`);
  await open(page, line, 'fetched');
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, `${browserName} uppy fetched.wav`);
  const { id } = await track(`${browserName} uppy fetched`);
  const got = await page.evaluate(async ([url, token]) => {
    const fetched = async (init) => {
      const answer = await fetch(url, { ...init, headers: { Authorization: `Bearer ${token}`, ...init.headers } });
      return [answer.status, (await answer.arrayBuffer()).byteLength, answer.headers.get('Content-Length')];
    };
    return [await fetched({}), await fetched({ headers: { Range: 'bytes=0-3' } }), await fetched({ method: 'HEAD' })];
  }, [`${process.env.E2E_URL}/v1/tracks/${id}/audio`, token]);
  const size = readFileSync(file).length;
  expect(got).toEqual([[200, size, String(size)], [206, 4, '4'], [200, 0, String(size)]]);
});

test('multipart', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy parts.wav`, 18 * MIB);
  await open(page, line, 'parts', { multipart: true });
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, `${browserName} uppy parts.wav`);
  await same(`${browserName} uppy parts`, file);
});

test('a small file in one part', once, async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy small part.wav`);
  await open(page, line, 'small', { multipart: true });
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await done(page, `${browserName} uppy small part.wav`);
  await same(`${browserName} uppy small part`, file);
});

test('three at once', once, async ({ page, line, browserName }) => {
  const names = ['a', 'b', 'c'].map((name) => `${browserName} uppy ${name}.wav`);
  const files = names.map((name, i) => wav(name, (1 + 6 * i) * MIB));
  await open(page, line, 'three', { multipart: true });
  await choose(page, ...files);
  await press(page, /^Upload 3 files/);
  await done(page, ...names);
  for (const [i, name] of names.entries()) await same(name.replace('.wav', ''), files[i]);
});

test('cancel', async ({ page, line, browserName }) => {
  await open(page, line, 'cancel', { multipart: true });
  line.rate = 3 * MIB;
  await choose(page, wav(`${browserName} uppy cancel.wav`, 30 * MIB));
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(20);
  await press(page, 'Cancel');
  await expect.poll(async () => {
    const [upload] = await uploads(`${browserName} uppy cancel`);
    return upload?.state;
  }).toBe('aborted');
});

test('pause and resume', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy pause.wav`, 30 * MIB);
  await open(page, line, 'pause', { multipart: true });
  line.rate = 6 * MIB;
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(30);
  await press(page, 'Pause');
  await page.waitForTimeout(1000);
  const paused = await percent(page);
  await page.waitForTimeout(1500);
  expect(await percent(page)).toBe(paused);
  await page.screenshot({ path: 'shots/uppy-paused.png' });
  line.rate = 0;
  await press(page, 'Resume');
  await done(page, `${browserName} uppy pause.wav`);
  await same(`${browserName} uppy pause`, file);
});

test('reload and resume', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy reload.wav`, 40 * MIB);
  await open(page, line, 'reload', { multipart: true });
  line.rate = 8 * MIB;
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page), { timeout: 60_000 }).toBeGreaterThan(50);

  await page.reload();
  await page.waitForTimeout(300);
  line.seen.length = 0;
  line.rate = 0;
  await expect(page.getByText(`${browserName} uppy reload.wav`).first()).toBeVisible();
  await page.screenshot({ path: 'shots/uppy-reloaded.png' });
  // Golden Retriever keeps no file above 10 MiB, and asks for it.
  await press(page, 'Re-select');
  await choose(page, file);
  await press(page, /Resume|Upload 1 file/);
  await done(page, `${browserName} uppy reload.wav`);
  await same(`${browserName} uppy reload`, file);
  expect(line.puts().length).toBeGreaterThan(0);
  expect(line.puts().length).toBeLessThan(8); // of 8 parts of 5 MiB, those sent before stay
});

test('a text file that is named .wav never becomes a track to play', once, async ({ page, line, browserName }) => {
  await open(page, line, 'liar');
  await choose(page, text(`${browserName} uppy liar.wav`));
  await press(page, /^Upload 1 file/);
  const row = await track(`${browserName} uppy liar`, 'failed');
  const [upload] = await query('SELECT state, reason FROM track_uploads WHERE track_id = $1', row.id);
  expect(upload).toEqual({ state: 'failed', reason: 'not_audio' });
});

test('an expired session is refused, and the page is told', once, async ({ page, line, browserName }) => {
  const url = await companion(line);
  await open(page, line, 'expired', { url });
  await expire(url);
  await choose(page, wav(`${browserName} uppy expired.wav`));
  await press(page, /^Upload 1 file/);
  await expect.poll(() => page.evaluate(() => window.failed)).toEqual([[`${browserName} uppy expired.wav`, expect.stringContaining('Unauthorized')]]);
  expect(await tracks(`${browserName} uppy expired`)).toEqual([]);
});

test('the network is cut in the middle', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy cut.wav`, 30 * MIB);
  await open(page, line, 'cut', { multipart: true });
  line.rate = 6 * MIB;
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await expect.poll(() => percent(page)).toBeGreaterThan(30);
  line.down = true;
  line.cut();
  await page.waitForTimeout(2000);
  line.down = false;
  line.rate = 0;
  // Uppy tries a few times on its own, and offers a button when it has given up.
  const retry = page.getByRole('button', { name: 'Retry' }).first();
  await expect.poll(async () => {
    if (await retry.isVisible()) await retry.click();
    return page.evaluate(() => window.done);
  }, { timeout: 60_000, intervals: [1000] }).toEqual([`${browserName} uppy cut.wav`]);
  await same(`${browserName} uppy cut`, file);
});

test('the answer to the last call is lost', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} uppy lost.wav`, 12 * MIB);
  await open(page, line, 'lost', { multipart: true });
  line.fault = ({ path }) => (path.endsWith('/complete') ? 'lost' : undefined); // also when the browser tries again on its own
  await choose(page, file);
  await press(page, /^Upload 1 file/);
  await track(`${browserName} uppy lost`); // it is stored
  await expect.poll(() => page.evaluate(() => window.failed)).toHaveLength(1);
  line.fault = () => undefined;
  line.seen.length = 0;
  await press(page, 'Retry');
  await done(page, `${browserName} uppy lost.wav`);
  expect(line.puts()).toEqual([]);
  await same(`${browserName} uppy lost`, file);
});

test('the example of the docs: what it lets in, and the names that its users give', async ({ page, line, browserName }) => {
  const names = ['renamed.wav', 't.wave', 't.mp4', 'x.m4a', 'notes.txt', 'huge.wav'].map((name) => `${browserName} ex ${name}`);
  const files = [wav(names[0]), wav(names[1]), m4a(names[2]), m4a(names[3])].map((file) => readFileSync(file).toString('base64'));
  await page.goto(`${process.env.E2E_PAGES}/trackstore.html`);
  const outcome = await page.evaluate(async ([api, token, names, files]) => {
    const { uppy } = await import('/uppy-example.js');
    const uploader = await uppy(api, token);
    const refused = [];
    uploader.on('restriction-failed', ({ name }) => refused.push(name));
    const types = ['audio/wav', '', 'video/mp4', 'audio/mpeg', 'text/plain', 'audio/wav'];
    for (const [i, name] of names.entries()) {
      const data = new File([Uint8Array.from(atob(files[i] ?? ''), (c) => c.charCodeAt(0))], name, { type: types[i] });
      if (i === 5) Object.defineProperty(data, 'size', { value: 3 * 1024 ** 3 });
      try {
        uploader.addFile({ name, type: types[i], data });
      } catch {
        // It says so by restriction-failed, too.
      }
    }
    uploader.setFileMeta(uploader.getFiles()[0].id, { name: names[0].replace('renamed', 'another name') });
    const { successful, failed } = await uploader.upload();
    return { refused, successful: successful.length, failed: failed.length };
  }, [line.url, token, names, files]);
  expect(outcome).toEqual({ refused: names.slice(4), successful: 4, failed: 0 });
  for (const name of ['another name', 't']) await track(`${browserName} ex ${name}`);
  expect(await tracks(`${browserName} ex renamed`)).toEqual([]);
});

// expire ends a companion session as if its time had passed.
async function expire(url) {
  const token = Buffer.from(new URL(url).pathname.split('/').pop(), 'base64url');
  const rows = await query(
    `UPDATE companion_sessions SET created_at = now() - interval '1 day', expires_at = now() - interval '1 second'
     WHERE token_hash = sha256($1) RETURNING 1`, token);
  expect(rows.length).toBe(1);
}
