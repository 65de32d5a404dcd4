// Bits that are flipped between trackstore.js and the storage: in a body, in a header, in the request's line.
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { wavBytes } from './audio.js';
import { expect, test } from './fixtures.js';
import { audio, query, tokenOf } from './server.js';

const UPLOADS = 80; // each is tried three times, or for so long as it seems to be the network
const TITLE = 'flipped';

test('no damaged file is stored', { tag: '@once' }, async ({ line }) => {
  mkdirSync('dist', { recursive: true });
  copyFileSync('../web/trackstore.js', 'dist/trackstore.mjs'); // Node's name for a module
  const { Trackstore } = await import('./dist/trackstore.mjs');
  const token = tokenOf(randomUUID());
  const store = new Trackstore(line.url, token, { parallel: 40, patience: 5000 });
  const files = Array.from({ length: UPLOADS }, () => wavBytes(20_000));
  for (const flip of ['body', 'any']) {
    line.flip = flip;
    const ended = await Promise.allSettled(files.map((bytes, i) => store.upload(
      new File([bytes], 'flipped.wav', { type: 'audio/wav' }), { title: `${TITLE} ${flip} ${i}` }).done));
    if (flip === 'body') expect(ended.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  }
  const damaged = line.seen.filter((seen) => seen.damaged === 'body');
  expect(damaged.length).toBeGreaterThan(2 * UPLOADS);
  expect(damaged.filter(({ status }) => status < 300)).toEqual([]);
  // A bit of a header that says nothing harms nothing: then it is stored, and as it was.
  for (const { id, title } of await query("SELECT id, title FROM tracks WHERE title LIKE $1 AND status = 'ready'", `${TITLE} %`)) {
    expect((await audio(id, token)).equals(files[title.split(' ').pop()]), title).toBe(true);
  }
});
