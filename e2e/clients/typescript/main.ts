// Uploads a file and writes what is played of it to standard output.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

const { TRACKSTORE_URL: baseUrl, TRACKSTORE_TOKEN: token } = process.env;
const path = process.argv[2];
assert(baseUrl && token && path);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const content = await readFile(path);

const refused = await client.POST('/v1/uploads', { body: { title: 'Nocturne', filename: 'song.exe', size: 1 } });
const code: components['schemas']['Problem']['code'] = 'unsupported_media_type';
assert.equal(refused.error?.code, code);

const body: components['schemas']['OpenUpload'] = {
  title: 'Nocturne', filename: basename(path), size: content.length, method: 'put',
  checksum: { algorithm: 'SHA256', value: createHash('sha256').update(content).digest('base64') },
};
const opened = await client.POST('/v1/uploads', { params: { header: { 'Idempotency-Key': 'a-key' } }, body });
assert(opened.data?.put, JSON.stringify(opened.error));
const { upload_id, put: { url, headers } } = opened.data;
const sent = await fetch(url, { method: 'PUT', headers, body: content });
assert(sent.ok, `${sent.status} ${await sent.text()}`);

const completed = await client.POST('/v1/uploads/{upload_id}/complete', { params: { path: { upload_id } } });
assert(completed.data, JSON.stringify(completed.error));
const { state, reason, track_id } = completed.data;
assert.deepEqual({ state, reason }, { state: 'stored', reason: null });

const playable = await client.GET('/v1/tracks/{track_id}/audio', { params: { path: { track_id }, query: { redirect: '0' } } });
assert(playable.data, JSON.stringify(playable.error));
assert.equal(playable.data.size, content.length);
process.stdout.write(Buffer.from(await (await fetch(playable.data.url)).arrayBuffer()));
