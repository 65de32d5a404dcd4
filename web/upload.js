import { call } from './api.js';

const PARALLEL_PARTS = 4;
const TRIES = 4;

// upload sends one file and resolves with the upload once the storage's own event has
// settled it. show(phase, fraction) is called on the way; signal cancels.
export async function upload(file, show, signal) {
  const ticket = await call('POST', '/v1/uploads', {
    title: file.name.replace(/\.[^.]*$/, '').slice(0, 255) || file.name,
    filename: file.name,
    content_type: file.type,
    size: file.size,
  });
  try {
    const progress = (sent) => show('sending', sent / file.size);
    if (ticket.multipart) await sendParts(ticket, file, progress, signal);
    else await send('PUT', ticket.put.url, ticket.put.headers, file, progress, signal);
  } catch (problem) {
    // Aborting is a courtesy: an upload that is left alone expires.
    await call('DELETE', `/v1/uploads/${ticket.upload_id}`).catch(() => {});
    throw problem;
  }
  show('confirming', 1);
  return settled(ticket.upload_id, signal);
}

async function sendParts(ticket, file, progress, signal) {
  const { part_size: size, part_count: count, parts: signed } = ticket.multipart;
  const urls = new Map(signed.map((part) => [part.part_number, part.url]));
  const sent = new Array(count + 1).fill(0);
  const done = [];
  let next = 1;

  const worker = async () => {
    while (next <= count) {
      const number = next++;
      const blob = file.slice((number - 1) * size, number * size);
      const url = urls.get(number) ?? await sign(ticket.upload_id, number);
      const etag = await send('PUT', url, {}, blob, (bytes) => {
        sent[number] = bytes;
        progress(sent.reduce((sum, n) => sum + n));
      }, signal);
      done.push({ part_number: number, etag });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PARTS }, worker));
  done.sort((a, b) => a.part_number - b.part_number);
  await call('POST', `/v1/uploads/${ticket.upload_id}/complete`, { parts: done });
}

async function sign(id, number) {
  const answer = await call('POST', `/v1/uploads/${id}/parts`, { part_numbers: [number] });
  return answer.parts[0].url;
}

// send puts bytes where a signed URL leads, and tries again when the network fails.
// XMLHttpRequest, because fetch does not report the progress of what it sends.
async function send(method, url, headers, body, progress, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendOnce(method, url, headers, body, progress, signal);
    } catch (problem) {
      if (problem.final || attempt === TRIES) throw problem;
      await pause(500 * 2 ** attempt, signal);
    }
  }
}

function sendOnce(method, url, headers, body, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (text, final) => reject(Object.assign(new Error(text), { final }));
    const cancel = () => request.abort();
    signal.addEventListener('abort', cancel);
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      // 412: the key is written already, by an earlier try whose answer was lost.
      if (request.status < 300 || request.status === 412) resolve(request.getResponseHeader('ETag'));
      else fail(`The storage answered ${request.status}.`, request.status < 500 && request.status !== 429);
    };
    request.onerror = () => fail('The network failed.', false);
    request.onabort = () => fail('Cancelled.', true);
    request.onloadend = () => signal.removeEventListener('abort', cancel);
    if (signal.aborted) return fail('Cancelled.', true);
    request.send(body);
  });
}

// settled waits for the event. It asks, and does not complete a put by itself: here one
// wants to see that the event alone flips the row.
async function settled(id, signal) {
  for (;;) {
    const upload = await call('GET', `/v1/uploads/${id}`);
    if (upload.state !== 'pending') return upload;
    await pause(400, signal);
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(Object.assign(new Error('Cancelled.'), { final: true }));
    }, { once: true });
  });
}
