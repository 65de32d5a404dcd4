// A bad line between a browser and the stack: slow, cut, damaging, or in front of servers that are busy. Each test has its
// own, so that no test feels another one's.
import { createServer, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

// Line is two servers, one in front of the API, and one in front of the storage, which answers of the API then lead to.
export class Line {
  rate = 0; // bytes a second to the storage and from it, over all requests; 0: no limit
  down = false;
  // fault(seen) may return what to answer instead of the server: {status, headers}, or 'lost', by which the server does
  // what is asked for, and its answer never comes.
  fault = () => undefined;
  edit = (text) => text; // changes what the API says
  flip = ''; // 'body': one bit of each PUT's body is flipped, 'any': one of all that is sent
  seen = []; // {side, method, path, part, status} of all requests

  #api;
  #storage;
  #servers = [];
  #sockets = new Set();
  #free = 0; // when the line is free again

  constructor(api, storage) {
    this.#api = new URL(api);
    this.#storage = new URL(storage);
  }

  // open starts the line; the API's side on the port that its origin is let in with.
  async open(port = 0) {
    this.url = await this.#serve('api', this.#api, port);
    this.storage = await this.#serve('storage', this.#storage, 0);
    return this;
  }

  close() {
    this.cut();
    for (const server of this.#servers) server.close();
  }

  // cut breaks off all that is on its way.
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  // puts returns the requests that brought bytes to the storage.
  puts() {
    return this.seen.filter(({ side, method, status }) => side === 'storage' && method === 'PUT' && status >= 200 && status < 300);
  }

  async #serve(side, to, port) {
    const server = createServer((request, response) => {
      this.#pass(side, to, request, response).catch(() => response.destroy());
    });
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.down) socket.destroy();
    });
    await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
    this.#servers.push(server);
    return `http://127.0.0.1:${server.address().port}`;
  }

  async #pass(side, to, request, response) {
    if (this.down) return request.destroy();
    const { pathname, searchParams } = new URL(request.url, 'http://line');
    const seen = { side, method: request.method, url: request.url, path: pathname, part: Number(searchParams.get('partNumber')), status: 0 };
    this.seen.push(seen);
    const fault = request.method === 'OPTIONS' ? undefined : await this.fault(seen);
    if (fault && fault !== 'lost') {
      request.resume();
      await new Promise((resolve) => { request.on('end', resolve); });
      seen.status = fault.status;
      return response.writeHead(fault.status, {
        'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'ETag, Retry-After', ...fault.headers,
      }).end();
    }
    // The storage's URLs are signed for its own name.
    const headers = { ...request.headers, ...(side === 'storage' && { host: to.host }) };
    if (this.flip && side === 'storage' && request.method === 'PUT') return this.#damage(to, request, headers, response, seen);

    const onward = httpRequest({ host: to.hostname, port: to.port, method: request.method, path: request.url, headers });
    const answered = new Promise((resolve, reject) => {
      onward.on('response', resolve);
      onward.on('error', reject);
      response.on('close', () => onward.destroy());
    });
    answered.catch(() => {});
    for await (const chunk of request) {
      if (this.rate && side === 'storage') await this.#slowly(chunk.length);
      if (!onward.write(chunk)) await drained(onward);
    }
    onward.end();
    const answer = await answered;
    seen.status = answer.statusCode;
    if (fault === 'lost') {
      answer.resume();
      await new Promise((resolve) => { answer.on('end', resolve); });
      return response.destroy();
    }
    // What leads to the storage leads through this line.
    if (side === 'api' && /json/.test(answer.headers['content-type'])) {
      const chunks = await toArray(answer);
      const text = this.edit(Buffer.concat(chunks).toString()).replaceAll(this.#storage.origin, this.storage);
      delete answer.headers['content-length'];
      return response.writeHead(answer.statusCode, answer.headers).end(text);
    }
    response.writeHead(answer.statusCode, answer.headers);
    for await (const chunk of answer) {
      if (this.rate && side === 'storage') await this.#slowly(chunk.length);
      if (!response.write(chunk)) await drained(response);
    }
    return response.end();
  }

  async #slowly(bytes) {
    this.#free = Math.max(this.#free, Date.now()) + 1000 * bytes / this.rate;
    await sleep(this.#free - Date.now());
  }

  // damage flips a bit of a request, and hands on what the storage says to that.
  async #damage(to, request, headers, response, seen) {
    const body = Buffer.concat(await toArray(request));
    const head = Buffer.from(`${request.method} ${request.url} HTTP/1.1\r\n${
      Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    const all = Buffer.concat([head, body]);
    const from = this.flip === 'body' ? head.length : 0;
    const bit = randomInt(8 * from, 8 * all.length);
    all[bit >> 3] ^= 1 << (bit & 7);
    const socket = connect({ host: to.hostname, port: to.port });
    socket.setTimeout(2000, () => socket.destroy()); // it waits for more, where the length was damaged
    socket.write(all);
    const answer = Buffer.concat(await toArray(socket)).toString();
    const status = Number(answer.match(/^HTTP\/1\.1 (\d+)/)?.[1]);
    if (!status) return response.destroy();
    seen.status = status;
    seen.damaged = (bit >> 3) >= head.length ? 'body' : 'head';
    return response.writeHead(status, { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'ETag', ETag: '"damaged"' }).end();
  }
}

function drained(stream) {
  return new Promise((resolve) => {
    const end = () => {
      stream.off('drain', end).off('close', end);
      resolve();
    };
    stream.on('drain', end).on('close', end);
  });
}

async function toArray(stream) {
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    // It was cut off.
  }
  return chunks;
}
