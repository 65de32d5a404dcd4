// What the tests ask the stack behind the browser's back.
import { expect } from '@playwright/test';
import pg from 'pg';

const { E2E_URL: url, E2E_TOKEN: token, E2E_DATABASE_URL: database } = process.env;

export { url };

// companion opens a companion session of the demo user and returns its URL.
export async function companion() {
  const answer = await fetch(`${url}/v1/companion-sessions`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(201);
  return (await answer.json()).companion_url;
}

// track waits until there is a track with this title that is ready, or has failed, and
// returns its row. Titles are unique to a test.
export async function track(title, status = 'ready') {
  let row;
  await expect.poll(async () => {
    [row] = await query('SELECT * FROM tracks WHERE title = $1', title);
    return row?.status;
  }, { message: `status of the track ${title}` }).toBe(status);
  return row;
}

// audio fetches a track's bytes as a client would.
export async function audio(id) {
  const answer = await fetch(`${url}/v1/tracks/${id}/audio`, { headers: { Authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

export async function query(sql, ...values) {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

// throttle limits what the page sends, in bytes a second; 0 lifts the limit.
export async function throttle(page, upload, offline = false) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline, latency: 0, downloadThroughput: -1, uploadThroughput: upload || -1,
  });
}
