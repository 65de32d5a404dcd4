// web/trackstore.js in a page of another origin than the API and the storage, over lines of every kind.
import { readFileSync, writeFileSync } from 'node:fs';
import { m4a, text, wav } from './audio.js';
import { expect, test } from './fixtures.js';
import { audio, token, track, tracks, uploads } from './server.js';

const MIB = 1 << 20;
const once = { tag: '@once' }; // in Chromium only: another browser adds nothing to it

// open shows the page, whose `store` uploads through the line, and lets it choose files.
async function open(page, line, files = [], { query = '', options = {} } = {}) {
  await page.goto(`${process.env.E2E_PAGES}/trackstore.html${query}`);
  await page.waitForFunction(() => window.ready);
  await page.evaluate(([url, token, options]) => { window.store = new Trackstore(url, token, options); }, [line.url, token, options]);
  if (files.length > 0) await page.locator('input').setInputFiles(files);
}

// start begins to upload a chosen file as window.uploads[i], and keeps what it told.
const start = (page, i = 0, about = {}) => page.evaluate(([i, about]) => {
  window.uploads ??= [];
  const told = [];
  const upload = store.upload(document.querySelector('input').files[i], {
    ...about, onchange: ({ state, sent, problem }) => told.push([state, sent, problem?.code]),
  });
  return window.uploads.push(Object.assign(upload, { told })) - 1;
}, [i, about]);

// ended waits for an upload's end.
const ended = (page, i = 0) => page.evaluate(async (i) => {
  try {
    return { ...await uploads[i].done, shown: uploads[i].state, sent: uploads[i].sent };
  } catch (problem) {
    return { code: problem.code, message: problem.message, shown: uploads[i].state };
  }
}, i);

const is = (page, ...states) => expect.poll(() => page.evaluate(() => uploads[0].state)).toMatch(states.join('|'));
const sent = (page) => page.evaluate(() => uploads[0].sent);

// lacksThird keeps an upload in parts from its end.
const lacksThird = ({ side, part }) => side === 'storage' && part === 3 && { status: 503 };

async function same(title, file) {
  const row = await track(title);
  expect((await audio(row.id)).equals(readFileSync(file))).toBe(true);
  return row;
}

test('a file in one request, with its checksum, and as what it was told', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} put.wav`, 3 * MIB);
  await open(page, line, [file]);
  await start(page, 0, { title: `${browserName} Nocturne` });
  expect(await ended(page)).toMatchObject({ state: 'stored', shown: 'stored', sent: readFileSync(file).length });
  const told = await page.evaluate(() => uploads[0].told);
  expect([...new Set(told.map(([state]) => state))]).toEqual(['reading', 'waiting', 'sending', 'checking', 'stored']);
  expect(told.map(([, sent]) => sent)).toEqual(told.map(([, sent]) => sent).toSorted((a, b) => a - b));
  await same(`${browserName} Nocturne`, file);
  expect(await uploads(`${browserName} Nocturne`)).toMatchObject([{ method: 'put', checksum_algorithm: 'CRC64NVME' }]);
});

test('a large file in parts, side by side', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} parts.wav`, 34 * MIB);
  await open(page, line, [file]);
  await start(page, 0, { method: 'multipart' });
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  await same(`${browserName} parts`, file);
  expect(line.puts().map(({ part }) => part).toSorted()).toEqual([1, 2, 3]);
});

test('pause and resume', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} pause.wav`, 45 * MIB);
  await open(page, line, [file]);
  line.fault = lacksThird;
  await start(page, 0, { method: 'multipart' });
  await expect.poll(() => line.puts().length).toBe(2);
  await page.evaluate(() => uploads[0].pause());
  await is(page, 'paused');
  line.fault = () => undefined;
  line.seen.length = 0;
  await page.waitForTimeout(1500);
  expect(line.puts()).toEqual([]);
  await page.evaluate(() => uploads[0].resume());
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(line.puts().map(({ part }) => part)).toEqual([3]);
  await same(`${browserName} pause`, file);
  expect(await uploads(`${browserName} pause`)).toHaveLength(1);
});

test('a reload, and the same file again: what is there is not sent twice', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} reload.wav`, 45 * MIB);
  await open(page, line, [file]);
  line.fault = lacksThird;
  await start(page, 0, { method: 'multipart' });
  await expect.poll(() => line.puts().length).toBe(2);
  await page.reload();
  line.fault = () => undefined;
  line.seen.length = 0;
  await open(page, line, [file]);
  await start(page, 0, { method: 'multipart' });
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(line.puts().map(({ part }) => part)).toEqual([3]);
  await same(`${browserName} reload`, file);
  expect(await uploads(`${browserName} reload`)).toHaveLength(1);
});

test('parts that a server put together before it died are not sent again', once, async ({ page, line, browserName }) => {
  const file = wav(`${browserName} dead.wav`, 17 * MIB);
  await open(page, line, [file]);
  line.fault = ({ path }) => (path.endsWith('/complete') ? 'lost' : undefined);
  await start(page, 0, { method: 'multipart' });
  await track(`${browserName} dead`);
  await page.reload();
  line.fault = () => undefined;
  line.seen.length = 0;
  // Until it is asked to complete, nobody knows.
  line.edit = (text) => (line.seen.at(-1).path.endsWith('/complete') ? text : text.replace('"state":"stored"', '"state":"pending"'));
  await open(page, line, [file]);
  await start(page, 0, { method: 'multipart' });
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(line.puts()).toEqual([]);
  expect(line.seen.filter(({ path }) => path.endsWith('/parts'))).toEqual([]);
  await same(`${browserName} dead`, file);
});

test('a part that the storage lists with another size is sent again', once, async ({ page, line, browserName }) => {
  const file = wav(`${browserName} cut part.wav`, 34 * MIB);
  await open(page, line, [file]);
  line.fault = lacksThird;
  await start(page, 0, { method: 'multipart' });
  await expect.poll(() => line.puts().length).toBe(2);
  await page.evaluate(() => uploads[0].pause());
  line.fault = () => undefined;
  line.seen.length = 0;
  line.edit = (text) => text.replace(/"part_number":1,("etag":"[^"]*(?:\\"[^"]*)*",)?"size":\d+/, (match) => match.replace(/\d+$/, '5242880'));
  await page.evaluate(() => uploads[0].resume());
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(line.puts().map(({ part }) => part).toSorted()).toEqual([1, 3]);
  await same(`${browserName} cut part`, file);
});

test('cancel', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} cancel.wav`, 30 * MIB);
  await open(page, line, [file]);
  line.rate = 5 * MIB;
  await start(page, 0, { method: 'multipart' });
  await is(page, 'sending');
  await page.evaluate(() => uploads[0].cancel());
  expect(await ended(page)).toMatchObject({ code: 'cancelled', shown: 'cancelled' });
  expect(await uploads(`${browserName} cancel`)).toMatchObject([{ state: 'aborted' }]);
  // The same file again is another upload.
  line.rate = 0;
  await start(page);
  expect(await ended(page, 1)).toMatchObject({ state: 'stored' });
});

test('cancelled while it is opened, and too late', once, async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} early.wav`), wav(`${browserName} late.wav`)]);
  await start(page);
  await page.evaluate(() => new Promise((resolve) => {
    const watch = setInterval(() => {
      if (uploads[0].told.length < 2) return;
      clearInterval(watch);
      resolve(uploads[0].cancel());
    });
  }));
  expect(await ended(page)).toMatchObject({ code: 'cancelled' });
  for (const { state } of await uploads(`${browserName} early`)) expect(state).toBe('aborted');

  // The answer to complete is held back, so that the page does not know that the file is stored.
  let go;
  line.fault = ({ path }) => path.endsWith('/complete') && new Promise((resolve) => { go = () => resolve(undefined); });
  await start(page, 1);
  await expect.poll(() => Boolean(go)).toBe(true);
  await track(`${browserName} late`);
  await page.evaluate(() => uploads[1].cancel());
  expect(await ended(page, 1)).toMatchObject({ state: 'stored', shown: 'stored' });
  go();
});

test('an upload that is aborted elsewhere ends', once, async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} elsewhere.wav`, 30 * MIB)]);
  line.rate = 5 * MIB;
  await start(page, 0, { method: 'multipart' });
  await is(page, 'sending');
  const [{ id }] = await uploads(`${browserName} elsewhere`);
  await fetch(`${line.url}/v1/uploads/${id}`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } });
  line.rate = 0;
  expect(await ended(page)).toMatchObject({ code: 'aborted', shown: 'failed' });
  expect(await uploads(`${browserName} elsewhere`)).toHaveLength(1);
});

for (const method of ['put', 'multipart']) {
  test(`the line is cut: ${method}`, async ({ page, line, browserName }) => {
    const file = wav(`${browserName} cut ${method}.wav`, 30 * MIB);
    await open(page, line, [file]);
    line.rate = 10 * MIB;
    await start(page, 0, { method });
    await expect.poll(() => sent(page)).toBeGreaterThan(0);
    line.down = true;
    line.cut();
    await expect.poll(() => page.evaluate(() => uploads[0].problem?.code)).toBe('network');
    line.down = false;
    line.rate = 0;
    expect(await ended(page)).toMatchObject({ state: 'stored' });
    await same(`${browserName} cut ${method}`, file);
    expect(await uploads(`${browserName} cut ${method}`)).toHaveLength(1);
  });

  test(`answers are lost, servers are busy, URLs run out: ${method}`, async ({ page, line, browserName }) => {
    const file = wav(`${browserName} faults ${method}.wav`, method === 'put' ? MIB : 17 * MIB);
    // Each kind of request meets each of these once.
    const faults = {
      open: ['lost', { status: 429, headers: { 'Retry-After': '1' } }, { status: 503 }],
      parts: [{ status: 502 }, 'lost'],
      storage: [{ status: 503 }, { status: 403 }, 'lost'],
      complete: [{ status: 500 }, 'lost'],
    };
    line.fault = ({ side, method, path }) => {
      if (side === 'storage') return faults.storage.shift();
      return (path === '/v1/uploads' ? faults.open : faults[path.split('/')[4]])?.shift();
    };
    await open(page, line, [file]);
    await start(page, 0, { method });
    expect(await ended(page)).toMatchObject({ state: 'stored' });
    if (method === 'put') faults.parts = [];
    expect(Object.values(faults).flat()).toEqual([]);
    await same(`${browserName} faults ${method}`, file);
    expect(await uploads(`${browserName} faults ${method}`)).toHaveLength(1);
  });
}

test('who is told to wait waits', once, async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} wait.wav`)]);
  const faults = [{ status: 429, headers: { 'Retry-After': '3' } }];
  line.fault = ({ path }) => (path === '/v1/uploads' ? faults.shift() : undefined);
  await start(page);
  const from = Date.now();
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(Date.now() - from).toBeGreaterThan(2900);
});

test('what is no audio is refused, and the page is told why', async ({ page, line, browserName }) => {
  await open(page, line, [text(`${browserName} liar.wav`), text(`${browserName} notes.exe`)]);
  await start(page);
  const problem = await ended(page);
  expect(problem).toMatchObject({ code: 'not_audio', shown: 'failed' });
  expect(problem.message).toMatch(/bytes|audio/);
  await track(`${browserName} liar`, 'failed');
  await start(page, 1);
  expect(await ended(page, 1)).toMatchObject({ code: 'unsupported_media_type' });
  expect(line.puts()).toHaveLength(1);
});

for (const method of ['put', 'multipart']) {
  test(`bits are flipped on the way: ${method}`, method === 'multipart' ? once : {}, async ({ page, line, browserName }) => {
    const file = wav(`${browserName} flip ${method}.wav`, method === 'put' ? MIB : 17 * MIB);
    await open(page, line, [file]);
    line.flip = 'body';
    await start(page, 0, { method });
    expect(await ended(page)).toMatchObject({ code: 'storage', shown: 'failed' });
    expect(line.puts()).toEqual([]);
    expect((await uploads(`${browserName} flip ${method}`)).map(({ state }) => state)).toEqual(['aborted']);
    line.flip = '';
    await start(page, 0, { method, title: `${browserName} straight ${method}` });
    expect(await ended(page, 1)).toMatchObject({ state: 'stored' });
    await same(`${browserName} straight ${method}`, file);
  });
}

test('two files of one size and date are two uploads', async ({ page, line, browserName }) => {
  const names = ['take 1', 'take 2'].map((name) => `${browserName} ${name}`);
  const files = names.map((name) => wav(`${name}.wav`));
  await open(page, line);
  await page.evaluate(([names, files]) => {
    window.uploads = files.map((bytes, i) => store.upload(
      new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], 'take.wav', { type: 'audio/wav', lastModified: 0 }),
      { title: names[i] }));
  }, [names, files.map((file) => readFileSync(file).toString('base64'))]);
  for (const [i, name] of names.entries()) {
    expect(await ended(page, i)).toMatchObject({ state: 'stored' });
    await same(name, files[i]);
  }
});

test('the same file at once is one upload, in one page and in two; later it is another one', async ({ page, line, browserName }) => {
  const [one, two] = [wav(`${browserName} twice.wav`, 20 * MIB), wav(`${browserName} tabs.wav`)];
  await open(page, line, [one, two]);
  await start(page);
  await start(page);
  const [first, second] = [await ended(page, 0), await ended(page, 1)];
  expect(first).toMatchObject({ state: 'stored' });
  expect(second.upload_id).toBe(first.upload_id);
  expect(line.puts()).toHaveLength(1);
  await start(page);
  expect((await ended(page, 2)).upload_id).not.toBe(first.upload_id);
  expect(await tracks(`${browserName} twice`)).toHaveLength(2);

  const other = await page.context().newPage();
  await open(other, line, [one, two]);
  await Promise.all([start(page, 1), start(other, 1)]);
  const [here, there] = await Promise.all([ended(page, 3), ended(other, 0)]);
  expect(here).toMatchObject({ state: 'stored' });
  expect(there.upload_id).toBe(here.upload_id);
  await other.close();
});

test('a new file of a track, the old one, and the new one again', once, async ({ page, line, browserName }) => {
  const files = ['old', 'new'].map((name) => wav(`${browserName} ${name}.wav`));
  await open(page, line, files);
  await start(page, 0, { title: `${browserName} replaced` });
  const { track_id } = await ended(page, 0);
  for (const [i, file] of [1, 0, 1].entries()) {
    await start(page, file, { track_id });
    expect(await ended(page, i + 1)).toMatchObject({ state: 'stored', track_id });
    await same(`${browserName} replaced`, files[file]);
  }
});

test('files by the names that phones and browsers give them', async ({ page, line, browserName }) => {
  const files = [m4a(`${browserName} x.m4a`), m4a(`${browserName} t.mp4`), wav(`${browserName} t.wave`)];
  await open(page, line);
  const types = ['audio/mpeg', 'video/mp4', ''];
  await page.evaluate(([names, files, types]) => {
    window.uploads = files.map((bytes, i) => store.upload(
      new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], names[i], { type: types[i] })));
  }, [files.map((file) => file.split('/').pop()), files.map((file) => readFileSync(file).toString('base64')), types]);
  for (const i of files.keys()) expect(await ended(page, i)).toMatchObject({ state: 'stored' });
});

test('where workers are forbidden it goes without', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} no worker.wav`, 5 * MIB);
  await open(page, line, [file], { query: '?no-worker' });
  await start(page);
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  await same(`${browserName} no worker`, file);
});

test('a file that changed since it was chosen is not stored', async ({ page, line, browserName }) => {
  const file = wav(`${browserName} changed.wav`, 2 * MIB);
  await open(page, line, [file]);
  line.fault = ({ path }) => path === '/v1/uploads' && new Promise((resolve) => { setTimeout(resolve, 1000); });
  await start(page);
  await is(page, 'waiting');
  writeFileSync(file, readFileSync(wav('other.wav', 2 * MIB)));
  expect((await ended(page)).code).toMatch(/unreadable|storage/);
});

test('a token that is refused is asked for again', once, async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} token.wav`)]);
  const refused = await page.evaluate(([url, good]) => {
    window.refused = [];
    let token = 'stale';
    window.store = new Trackstore(url, async (refused) => {
      if (refused) window.refused.push(refused);
      return (token = refused ? good : token);
    });
  }, [line.url, token]);
  await start(page);
  expect(await ended(page)).toMatchObject({ state: 'stored' });
  expect(await page.evaluate(() => window.refused)).toEqual(['stale']);
});

test('the example of the docs uploads and plays', async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} example.wav`, 160_000)]);
  const played = await page.evaluate(async ([api, token, title]) => {
    const { connect, play, upload } = await import('./example.js');
    const store = connect(api, () => token);
    const shown = [];
    const id = await upload(store, document.querySelector('input').files[0], title, (...what) => shown.push(what.join(' ').trim()));
    await play(store, id);
    await new Promise((resolve) => { document.querySelector('audio').ontimeupdate = resolve; });
    return shown.at(-1);
  }, [line.url, token, `${browserName} Étude`]);
  expect(played).toBe('stored 100');
  await track(`${browserName} Étude`);
});

test('what the browser itself records', async ({ page, line, browserName }) => {
  await open(page, line);
  await page.evaluate(async (title) => {
    const context = new AudioContext();
    const tone = context.createOscillator();
    const to = context.createMediaStreamDestination();
    tone.connect(to);
    tone.start();
    const recorder = new MediaRecorder(to.stream);
    const chunks = [];
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    recorder.start(200);
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    const blob = new Blob(chunks, { type: chunks[0].type });
    const filename = `memo.${/webm|ogg|mp4/.exec(blob.type)[0]}`;
    window.uploads = [store.upload(blob, { filename, title })];
  }, `${browserName} memo`);
  expect(await ended(page)).toMatchObject({ state: 'stored' });
});

test('it plays on while its URLs run out', async ({ page, line, browserName }) => {
  // 8 kHz, 16 bit: 20 seconds.
  await open(page, line, [wav(`${browserName} play.wav`, 320_000)]);
  await start(page);
  const { track_id } = await ended(page);
  // Every URL says that it lives four seconds, and the storage keeps to that.
  const born = new Map();
  line.edit = (text) => text.replace(/"expires_at":"[^"]*"/, `"expires_at":"${new Date(Date.now() + 4000).toISOString()}"`);
  line.fault = ({ side, url }) => {
    if (side !== 'storage') return undefined;
    if (!born.has(url)) born.set(url, Date.now());
    return Date.now() - born.get(url) > 4000 ? { status: 403 } : undefined;
  };
  await page.evaluate((id) => {
    window.at = [];
    const player = document.querySelector('audio');
    setInterval(() => window.at.push([player.currentTime, player.paused]), 100);
    return store.play(player, id);
  }, track_id);
  await page.waitForTimeout(7000);
  expect(born.size).toBeGreaterThan(2);
  const at = await page.evaluate(() => window.at);
  expect(at.at(-1)[0]).toBeGreaterThan(4);
  expect(at.at(-1)[1]).toBe(false);
  // It neither begins anew nor jumps.
  for (let i = 6; i < at.length; i++) expect(at[i][0] - at[i - 1][0]).toBeLessThan(1.5);
  expect(Math.min(...at.slice(20).map(([time]) => time))).toBeGreaterThan(0.5);

  // A URL that has run out while nothing played is renewed at the next seek, where it was.
  await page.evaluate(() => { document.querySelector('audio').pause(); });
  const before = await page.evaluate(() => document.querySelector('audio').currentTime);
  await page.waitForTimeout(4500);
  await page.evaluate(() => document.querySelector('audio').play());
  await expect.poll(() => page.evaluate(() => document.querySelector('audio').currentTime)).toBeGreaterThan(before + 0.5);
});

test('a URL that fails before its time is renewed where the track is', async ({ page, line, browserName }) => {
  await open(page, line, [wav(`${browserName} renew.wav`, 5_000_000)]); // five minutes
  await start(page);
  const { track_id } = await ended(page);
  line.rate = 200_000; // so that the browser has not all of it when it is to play the end
  await page.evaluate((id) => {
    window.errors = 0;
    const player = document.querySelector('audio');
    player.addEventListener('error', () => window.errors++);
    return store.play(player, id);
  }, track_id);
  const at = () => page.evaluate(() => document.querySelector('audio').currentTime);
  await expect.poll(at).toBeGreaterThan(2);
  // The keys that signed it have ended, say.
  const over = new Set(line.seen.filter(({ side, method }) => side === 'storage' && method === 'GET').map(({ url }) => url));
  line.fault = ({ side, url }) => (side === 'storage' && over.has(url) ? { status: 403 } : undefined);
  line.cut();
  await page.evaluate(() => { document.querySelector('audio').currentTime = 250; });
  await expect.poll(at).toBeGreaterThan(251);
  expect(await page.evaluate(() => [window.errors > 0, document.querySelector('audio').paused])).toEqual([true, false]);
  expect(over.size).toBe(1);
});
