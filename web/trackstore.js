/**
 * The browser's client of trackstore: uploads files, plays tracks. docs/clients.md shows its use.
 *
 * @typedef {'waiting' | 'reading' | 'sending' | 'checking' | 'paused' | 'stored' | 'failed' | 'cancelled'} State
 *   `waiting` for its turn, `reading` the file for its checksum, `checking` by the server.
 *
 * @typedef {object} About What to upload a file as.
 * @property {string} [title] Of the new track; else the file's name without its extension.
 * @property {string} [track_id] The track that gets the file as its new one, and keeps its title.
 * @property {string} [filename] Needed for a Blob, which has none of its own.
 * @property {'put' | 'multipart'} [method] In one request or in parts; else the server chooses, by size.
 * @property {(upload: Upload) => void} [onchange] Called when `state`, `sent` or `problem` has changed.
 *
 * @typedef {{ upload_id: string, track_id: string, state: string }} Answer An upload as the API has it.
 */

const SECOND = 1000; // milliseconds
const SILENCE = 180 * SECOND; // until a request counts as dead

/** Why a call or an upload failed. `message` is for people. */
export class Problem extends Error {
  name = 'Problem';
  wait = 0; // milliseconds until the next try

  /**
   * @param {string} code The API's, a failed upload's `reason`, or `aborted` (elsewhere), `cancelled`, `network`, `storage`,
   *   `unreadable`.
   * @param {string} message @param {number} status Of HTTP; 0: there is none. @param {number} tries
   */
  constructor(code, message, status = 0, tries = [408, 429].includes(status) || status >= 500 ? Infinity : 1) {
    super(message);
    this.code = code;
    this.status = status;
    this.tries = tries;
  }
}

/** A trackstore, as one user. */
export class Trackstore {
  #token;
  #playing = new WeakMap();
  /** The last upload of each content. @type {Map<string, Upload>} */
  latest = new Map();

  /**
   * @param {string} api The API's URL; '' is the page's own origin.
   * @param {string | ((refused?: string) => string | Promise<string>)} token The user's JWT, or what gives it: called for each
   *   request, and again with the token that the server refused.
   * @param {{ parallel?: number, patience?: number }} options How many uploads run at once, and how many files and parts are
   *   sent at once (4); how many milliseconds each tries on without success (10 minutes).
   */
  constructor(api, token, { parallel = 4, patience = 600 * SECOND } = {}) {
    this.api = api.replace(/\/+$/, '');
    this.#token = typeof token === 'function' ? token : () => token;
    this.inTurn = slots(parallel);
    this.sending = slots(parallel);
    this.parallel = parallel;
    this.patience = patience;
  }

  /**
   * Starts to upload a file. The same file with the same `about` goes on where it was interrupted, also after a reload of the
   * page; twice at once it is one upload; when it is stored it becomes another one.
   * @param {Blob} file @param {About} about
   */
  upload(file, about = {}) {
    return new Upload(this, file, about);
  }

  /**
   * Calls the API with a JSON body, and returns the answer's. A refusal is thrown as a Problem.
   * @param {string} method @param {string} path @param {object} [body] @param {AbortSignal} [signal]
   * @param {Record<string, string>} [headers] @returns {Promise<any>}
   */
  async request(method, path, body, signal, headers) {
    const once = (/** @type {string} */ token) => fetch(this.api + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }), ...headers },
      body: body && JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(SILENCE), signal ?? []].flat()),
    });
    let answer, text;
    try {
      const token = await this.#token();
      answer = await once(token);
      if (answer.status === 401) answer = await once(await this.#token(token));
      text = await answer.text();
      if (answer.ok) return text && JSON.parse(text);
    } catch (cause) {
      signal?.throwIfAborted();
      throw Object.assign(new Problem('network', 'The server cannot be reached.', 0, Infinity), { cause });
    }
    const { status, headers: said } = answer;
    const { code = 'http', detail = `The server answered ${status}.` } = /json/.test(said.get('Content-Type') ?? '') ? JSON.parse(text) : {};
    const problem = new Problem(code, detail, status);
    const after = said.get('Retry-After') ?? '';
    problem.wait = Math.min(SECOND * Number(after) || Date.parse(after) - Date.now() || 0, 300 * SECOND);
    throw problem;
  }

  /**
   * Plays a track, until the element gets another source. The URL is renewed before it runs out, and when it fails; position
   * and speed stay.
   * @param {HTMLMediaElement} audio @param {string} id The track's.
   */
  async play(audio, id) {
    this.#playing.get(audio)?.abort();
    const control = new AbortController();
    const { signal } = control;
    this.#playing.set(audio, control);
    let url = '', since = 0, timer = 0, playing = false;

    const load = async () => {
      clearTimeout(timer);
      const get = () => this.request('GET', `/v1/tracks/${id}/audio?redirect=0`, undefined, signal);
      const fresh = await persist(get, this.patience, signal);
      if (signal.aborted || url && audio.src !== url) return control.abort();
      const { currentTime, playbackRate } = audio;
      const play = !url || playing;
      audio.src = fresh.url;
      if (url) Object.assign(audio, { currentTime, playbackRate });
      url = audio.src;
      since = Date.now();
      // By a wrong clock it may be over: then an error renews it.
      const life = Date.parse(fresh.expires_at) - since;
      if (life > 0) timer = setTimeout(again, Math.max(life / 2, life - 60 * SECOND));
      if (play) await audio.play();
    };
    const again = () => load().catch(() => {}); // the element tells
    signal.addEventListener('abort', () => clearTimeout(timer));
    for (const kind of ['play', 'pause']) {
      // An error pauses it, too.
      audio.addEventListener(kind, () => { if (!audio.error) playing = !audio.paused; }, { signal });
    }
    audio.addEventListener('error', () => {
      if (Date.now() - since > 2 * SECOND) again(); // sooner: no audio
    }, { signal });
    await load();
  }
}

/** An upload of one file. Its fields are for reading. */
export class Upload {
  /** @type {State} */
  state = 'waiting';
  /** Bytes, of `size`, that the storage has or that are on their way. */
  sent = 0;
  size;
  /** Why it failed, or what it waits for to pass. @type {Problem | undefined} */
  problem;
  /** Once it is open. */
  id = '';

  #store;
  #file;
  #about;
  #began = Date.now();
  #ended = Infinity;
  #moved = 0; // the last success
  #stop = new AbortController(); // a new one after each pause
  #resumed = () => {};
  /** @type {any} */
  #settle;
  #body = {}; // of the request that opens it
  #content = ''; // what is uploaded, and as what
  #key = ''; // of idempotency
  #again = false; // it was begun before
  /** @type {any} */
  #opening;

  /** @param {Trackstore} store @param {Blob} file @param {About} about */
  constructor(store, file, about) {
    this.#store = store;
    this.#file = file;
    this.#about = about;
    this.size = file.size;
    /** Resolves when the file is stored, and rejects with a Problem when it will not be. @type {Promise<Answer>} */
    this.done = new Promise((resolve) => { this.#settle = resolve; });
    this.done.catch(() => {}); // some look at `problem` only
    this.#run().then((answer) => this.#end('stored', answer), (problem) => this.#end('failed', problem));
  }

  /** Stops sending. The storage keeps what it has. */
  pause() {
    if (this.#ended < Infinity || this.state === 'paused') return;
    this.#stop.abort();
    this.#show({ state: 'paused' });
  }

  /** Goes on after a pause. */
  resume() {
    if (this.state !== 'paused') return;
    this.#stop = new AbortController();
    this.#show({ state: 'waiting' });
    this.#resumed();
  }

  /** Gives up, here and on the server. Where that is too late the file is stored, and `done` says so. */
  async cancel() {
    if (this.#ended < Infinity) return;
    this.#ended = Date.now();
    this.#stop.abort();
    this.#resumed();
    this.#show({ state: 'cancelled' });
    await this.#opening?.catch(() => {});
    try {
      if (this.id) await persist(() => this.#call('DELETE'), 30 * SECOND);
    } catch (problem) {
      if (problem.code === 'already_stored') return this.#end('stored', await this.#call('GET'));
      // Else it expires.
    }
    this.#end('cancelled', new Problem('cancelled', 'The upload was cancelled.'));
  }

  /** @param {string} method @param {AbortSignal} [signal] @param {string} path @param {object} [body] */
  #call(method, signal, path = '', body) {
    return this.#store.request(method, `/v1/uploads/${this.id}${path}`, body, signal);
  }

  /** @param {Partial<Pick<Upload, 'state' | 'sent' | 'problem'>>} change */
  #show(change) {
    if ((change.sent ?? 0) > this.sent) this.#moved = Date.now();
    Object.assign(this, { problem: undefined }, change);
    queueMicrotask(() => this.#about.onchange?.(this)); // what that throws is not ours
  }

  /** @param {State} state @param {any} result The answer, or what was thrown. */
  async #end(state, result) {
    if (state === 'failed' && this.#ended < Infinity) return; // it was cancelled
    this.#ended = Date.now();
    if (state !== 'failed' || result.tries > 0 && result.tries < Infinity) { // else it goes on the next time
      kept(this.#content, null);
      if (state === 'failed' && this.id) await this.#call('DELETE').catch(() => {});
    }
    if (state === 'stored') this.sent = this.size;
    this.#show(state === 'failed' ? { state, problem: result } : { state });
    this.#settle(state === 'stored' ? result : Promise.reject(result));
  }

  async #run() {
    await this.#through((signal) => this.#read(signal));
    const { latest } = this.#store;
    const twin = latest.get(this.#content);
    latest.set(this.#content, this);
    const same = twin && twin.#ended > this.#began && await twin.done.catch(() => {});
    return same || this.#through((signal) => this.#attempt(signal));
  }

  /** Works in its turn, through pauses and failures that pass. @param {(signal: AbortSignal) => Promise<any>} work */
  async #through(work) {
    for (;;) {
      const { signal } = this.#stop;
      try {
        return await this.#persist(() => this.#store.inTurn(() => work(signal)), signal);
      } catch (problem) {
        if (!signal.aborted || this.#ended < Infinity) throw problem;
      }
      if (this.state === 'paused') await new Promise((resolve) => { this.#resumed = () => resolve(0); });
    }
  }

  /** @param {() => Promise<any>} attempt @param {AbortSignal} signal */
  #persist(attempt, signal) {
    return persist(attempt, this.#store.patience, signal, () => this.#moved, (problem) => this.#show({ problem }));
  }

  /** @param {AbortSignal} signal */
  async #read(signal) {
    signal.throwIfAborted();
    this.#show({ state: 'reading' });
    const file = this.#file;
    const { track_id, method, filename = 'name' in file ? `${file.name}` : '' } = this.#about;
    const { title = filename.replace(/(.)\.[^.]*$/, '$1') } = this.#about;
    const names = {
      track_id, title: track_id ? undefined : [...title].slice(0, 255).join(''), filename, content_type: file.type || undefined, method,
    };
    const value = await checksum(file, signal);
    this.#body = { ...names, size: file.size, checksum: { algorithm: 'CRC64NVME', value } };
    this.#content = `trackstore.${file.size}.${value}.${await checksum(new Blob([this.#store.api, JSON.stringify(names)]), signal)}`;
    this.#show({ state: 'waiting' });
  }

  /**
   * Opens the upload, or gets fresh URLs for it. Its key is made of the content, and thus the same in two tabs. Where that leads to
   * a stored upload which this browser did not leave unfinished, its id makes the next key.
   */
  async #open() {
    const known = this.#key || kept(this.#content);
    for (let key = known || this.#content; ;) {
      const ticket = await this.#store.request('POST', '/v1/uploads', this.#body, undefined, { 'Idempotency-Key': key });
      if (ticket.state === 'pending' || known) {
        this.id = ticket.upload_id;
        this.#again = Boolean(known);
        kept(this.#content, this.#key = key);
        return ticket;
      }
      key = `${this.#content}.${ticket.upload_id}`;
    }
  }

  /** Sends what the storage lacks, and has it checked. @param {AbortSignal} signal @returns {Promise<Answer>} */
  async #attempt(signal) {
    signal.throwIfAborted();
    const get = () => this.#call('GET', signal);
    const complete = async (/** @type {any} */ parts = undefined) => {
      this.#show({ state: 'checking' });
      return stored(await this.#call('POST', signal, '/complete', { parts }));
    };
    const arrived = () => complete().catch((problem) => { if (problem.status !== 409) throw problem; });
    try {
      const earlier = this.id && await get(); // where it is aborted, opening would begin another one
      if (earlier && !['pending', 'expired'].includes(earlier.state)) return stored(earlier);
      const late = earlier?.method === 'put' && await arrived();
      if (late) return late;
      this.#opening = this.#open(); // without the signal: who cancels must know what to abort
      const { state, put, multipart } = await this.#opening;
      signal.throwIfAborted();
      if (state !== 'pending') return stored(await get());
      if (multipart) return await complete(await this.#sendParts(multipart, (await get()).parts, signal));
      const there = this.#again && !earlier && await arrived();
      if (there) return there;
      this.#show({ state: 'sending', sent: 0 });
      await this.#store.sending(() => send(put, this.#file, signal, (sent) => this.#show({ sent })));
      return await complete();
    } catch (problem) {
      // Another attempt sees what became of it.
      if (problem.status === 409 || problem.code === 'invalid_parts') problem.tries = 3;
      throw problem;
    }
  }

  /** @param {{ part_size: number, part_count: number }} plan @param {?any[]} listed @param {AbortSignal} outer */
  async #sendParts({ part_size, part_count }, listed, outer) {
    if (!listed) return undefined; // they are one file
    const stop = new AbortController(); // one part's failure ends the others
    const signal = AbortSignal.any([outer, stop.signal]);
    const blob = (/** @type {number} */ n) => this.#file.slice((n - 1) * part_size, n * part_size);
    const parts = new Map(listed.map((part) => [part.part_number, part]));
    const show = () => this.#show({ state: 'sending', sent: [...parts.values()].reduce((sum, { size }) => sum + size, 0) });
    const missing = Array.from({ length: part_count }, (_, i) => i + 1)
      .filter((n) => parts.get(n)?.size !== blob(n).size) // absent, or cut off
      .values(); // which all workers share
    show();

    const one = async (/** @type {number} */ n) => {
      signal.throwIfAborted();
      // A damaged part is refused at once.
      const wanted = { part_number: n, checksum: await checksum(blob(n), signal) };
      const { parts: [to] } = await this.#call('POST', signal, '/parts', { parts: [wanted] });
      const part = { part_number: n, etag: '', size: 0 };
      parts.set(n, part);
      part.etag = await send(to, blob(n), signal, (size) => {
        part.size = size;
        show();
      });
    };
    const work = async () => {
      for (const n of missing) await this.#persist(() => this.#store.sending(() => one(n)), signal);
    };
    try {
      await Promise.all(Array.from({ length: this.#store.parallel }, work));
    } finally {
      stop.abort();
    }
    return [...parts.values()].sort((a, b) => a.part_number - b.part_number);
  }
}

/** Lets so many work at once, the others in their order. @param {number} free */
function slots(free) {
  /** @type {((value: unknown) => void)[]} */
  const queue = [];
  return async (/** @type {() => Promise<any>} */ work) => {
    if (free > 0) free--;
    else await new Promise((resolve) => { queue.push(resolve); });
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next) next(0);
      else free++;
    }
  };
}

/** Returns a stored upload, and throws what became of another one. @param {any} upload */
function stored(upload) {
  const { state, reason, detail } = upload;
  if (state === 'stored') return upload;
  throw new Problem(reason ?? state, detail ?? `The upload is ${reason ?? state}.`, 0, state === 'expired' ? 3 : 1);
}

/**
 * Tries until it succeeds, fails for good, or patience ends.
 * @param {() => Promise<any>} attempt @param {number} patience @param {AbortSignal} [signal]
 * @param {() => number} moved When there was success. @param {(problem: Problem) => void} waits Told of each failure.
 */
async function persist(attempt, patience, signal, moved = () => 0, waits = () => {}) {
  let since = 0; // the first failure
  let odd = 0; // failures that do not just pass
  for (let pause = SECOND / 2; ; pause = Math.min(2 * pause, 30 * SECOND)) {
    try {
      return await attempt();
    } catch (problem) {
      signal?.throwIfAborted();
      since ||= Date.now();
      if (problem.tries !== Infinity && ++odd >= (problem.tries ?? 1)) throw problem;
      if (Date.now() - Math.max(since, moved()) > patience) throw problem;
      waits(problem);
      if (globalThis.navigator?.onLine === false) since = 0;
      const woken = new AbortController();
      await new Promise((resolve) => {
        // Half of the pause is chance, so that not all come back at once.
        setTimeout(resolve, since ? Math.max(problem.wait, pause * (1 + Math.random()) / 2) : SILENCE);
        globalThis.addEventListener?.('online', resolve, woken);
        signal?.addEventListener('abort', resolve, woken);
      });
      woken.abort();
      signal?.throwIfAborted();
    }
  }
}

/**
 * PUTs bytes where a signed URL leads, and returns the ETag.
 * @param {{ url: string, headers?: Record<string, string> }} to @param {Blob} body @param {AbortSignal} signal
 * @param {(sent: number) => void} progress
 */
async function send({ url, headers = {} }, body, signal, progress) {
  signal.throwIfAborted();
  await body.slice(0, 1).arrayBuffer().catch(unreadable); // else it seems to be the network
  const byFetch = () => fetch(url, { method: 'PUT', headers, body, signal })
    .then(({ status, headers: said }) => ({ status, etag: said.get('ETag') }));
  const withProgress = () => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer = setTimeout(abort, SILENCE);
    request.open('PUT', url);
    request.responseType = 'text'; // no XML
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE);
      progress(loaded);
    };
    request.onload = () => resolve({ status: request.status, etag: request.getResponseHeader('ETag') });
    request.onerror = request.onabort = reject;
    request.onloadend = () => clearTimeout(timer);
    signal.addEventListener('abort', abort); // late, it does nothing
    request.send(body);
  });
  const { status, etag } = await (globalThis.XMLHttpRequest ? withProgress() : byFetch()).catch(() => {
    signal.throwIfAborted();
    progress(0);
    throw new Problem('network', 'The storage cannot be reached.', 0, Infinity);
  });
  // 412: an earlier try brought it.
  const good = status < 300 || status === 412;
  progress(good ? body.size : 0);
  if (good) return etag ?? '';
  const problem = new Problem('storage', `The storage answered ${status}.`, status);
  problem.tries = Math.max(problem.tries, 3); // by a fresh URL: it had run out, or bytes were damaged
  throw problem;
}

/** Keeps a value under a name, also over a reload; null lets it go. @param {string} name @param {string | null} [value] */
function kept(name, value) {
  try {
    if (value) localStorage.setItem(name, value);
    else if (value === null) localStorage.removeItem(name);
    return localStorage.getItem(name);
  } catch {
    return null; // a reload sends all anew
  }
}

// --- the checksum

const CHUNK = 1 << 20; // bytes

/**
 * The CRC64NVME of a file, as the API wants it: base64 of the big-endian sum. In a worker, where one can be had, for the page
 * is to answer meanwhile.
 *
 * @param {Blob} file
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
export async function checksum(file, signal) {
  let sum = globalThis.Worker && file.size > CHUNK ? await inWorker(file, signal).catch(() => undefined) : undefined;
  // Without a worker, in chunks, between which the page goes on.
  sum ??= await crc64nvme(file, CHUNK, () => signal?.throwIfAborted()).catch((error) => {
    signal?.throwIfAborted();
    unreadable(error);
  });
  const bytes = new DataView(new ArrayBuffer(8));
  sum.forEach((half, i) => bytes.setUint32(4 * i, half));
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
}

/** @param {any} error @returns {never} */
function unreadable(error) {
  throw new Problem('unreadable', `The file cannot be read: ${error?.message ?? error}`, 0, 0); // also of a page that ends
}

/** @param {Blob} file @param {AbortSignal} [signal] @returns {Promise<number[] | null>} */
function inWorker(file, signal) {
  const source = `${crc64nvme}
    onmessage = ({ data }) => crc64nvme(data, ${CHUNK}).then(postMessage, () => postMessage(null));`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  /** @type {Worker | undefined} */
  let worker;
  /** @type {() => void} */
  let abort = () => {};
  return new Promise((resolve, reject) => {
    abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort);
    worker = new Worker(url);
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(event); // a policy of the page forbids it
    };
    worker.postMessage(file);
  }).finally(() => {
    signal?.removeEventListener('abort', abort);
    URL.revokeObjectURL(url);
    worker?.terminate();
  });
}

/**
 * Both halves of a file's CRC64NVME. It uses nothing from outside itself, for its text is the worker's.
 *
 * @param {Blob} file
 * @param {number} chunk Bytes to read at once.
 * @param {() => void} [next] Called before each chunk.
 * @returns {Promise<number[]>}
 */
async function crc64nvme(file, chunk, next) {
  // Eight tables of 256 sums, so that eight bytes are taken at a time; numbers have 32 bits here, hence the halves.
  const high = new Int32Array(2048);
  const low = new Int32Array(2048);
  for (let i = 0; i < 256; i++) {
    let h = 0;
    let l = i;
    for (let table = 0; table < 8; table++) {
      for (let bit = 0; bit < 8; bit++) {
        const odd = l & 1;
        l = l >>> 1 | h << 31;
        h >>>= 1;
        if (odd) {
          h ^= 0x9a6c9329;
          l ^= 0xac4bc9b5;
        }
      }
      high[table * 256 + i] = h;
      low[table * 256 + i] = l;
    }
  }
  let h = ~0;
  let l = ~0;
  for (let at = 0; at < file.size; at += chunk) {
    next?.();
    const data = new Uint8Array(await file.slice(at, at + chunk).arrayBuffer());
    let i = 0;
    for (; i + 8 <= data.length; i += 8) {
      const a = 0x700 | (l ^ data[i]) & 255;
      const b = 0x600 | (l >>> 8 ^ data[i + 1]) & 255;
      const c = 0x500 | (l >>> 16 ^ data[i + 2]) & 255;
      const d = 0x400 | l >>> 24 ^ data[i + 3];
      const e = 0x300 | (h ^ data[i + 4]) & 255;
      const f = 0x200 | (h >>> 8 ^ data[i + 5]) & 255;
      const g = 0x100 | (h >>> 16 ^ data[i + 6]) & 255;
      const k = h >>> 24 ^ data[i + 7];
      h = high[a] ^ high[b] ^ high[c] ^ high[d] ^ high[e] ^ high[f] ^ high[g] ^ high[k];
      l = low[a] ^ low[b] ^ low[c] ^ low[d] ^ low[e] ^ low[f] ^ low[g] ^ low[k];
    }
    for (; i < data.length; i++) {
      const a = (l ^ data[i]) & 255;
      l = (l >>> 8 | h << 24) ^ low[a];
      h = h >>> 8 ^ high[a];
    }
  }
  return [~h >>> 0, ~l >>> 0];
}
