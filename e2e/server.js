// What the tests ask the stack behind the browser's back.
import { expect } from '@playwright/test';
import { createHmac } from 'node:crypto';
import pg from 'pg';

const { E2E_URL: url, E2E_TOKEN: token, E2E_DATABASE_URL: database } = process.env;

export { token };

// tokenOf returns the token of any other user.
export function tokenOf(user) {
  const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${text({ alg: 'HS256', typ: 'JWT' })}.${text({ sub: user, exp: Date.now() / 1000 + 3600 | 0 })}`;
  return `${signed}.${createHmac('sha256', process.env.E2E_JWT_SECRET).update(signed).digest('base64url')}`;
}

// companion opens a companion session of the demo user through a line, and returns its URL.
export async function companion(line) {
  const answer = await fetch(`${line.url}/v1/companion-sessions`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(201);
  const { companion_url: session } = await answer.json();
  return line.url + new URL(session).pathname;
}

// tracks returns the rows of the tracks with this title. Titles are unique to a test.
export function tracks(title) {
  return query('SELECT * FROM tracks WHERE title = $1 ORDER BY created_at', title);
}

// track waits until there is a track with this title that is ready, or has failed, and returns its row.
export async function track(title, status = 'ready') {
  let row;
  await expect.poll(async () => {
    [row] = await tracks(title);
    return row?.status;
  }, { message: `status of the track ${title}` }).toBe(status);
  return row;
}

// uploads returns the rows of the uploads for the tracks with this title, oldest first.
export function uploads(title) {
  return query('SELECT u.* FROM track_uploads u JOIN tracks t ON t.id = u.track_id WHERE t.title = $1 ORDER BY u.created_at', title);
}

// audio fetches a track's bytes as a client would.
export async function audio(id, token = process.env.E2E_TOKEN) {
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
