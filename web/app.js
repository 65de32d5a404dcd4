import { Trackstore } from './trackstore.js';

const $ = (id) => document.getElementById(id);
const REFRESH = 1000; // milliseconds

let session; // of the demo user; a real client has a token of its own

const store = new Trackstore('', async (refused) => {
  if (!session || refused === session.token) session = await json('/console/session');
  return session.token;
});

// json reads one of the console's own resources, or sends it an object.
async function json(path, body) {
  const answer = await fetch(path, body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (answer.ok) return answer.json();
  const { detail } = await answer.json().catch(() => ({}));
  throw new Error(detail ?? `The local stack answered ${answer.status}.`);
}

// element builds a node: text and children go in as text or nodes, never as HTML.
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node[key] = value;
    else if (value !== false && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function button(text, name, onclick) {
  return element('button', { type: 'button', class: 'quiet', 'aria-label': `${text} ${name}`, onclick }, text);
}

// set writes a text only where it changes, so that a refresh leaves selections alone.
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

// --- uploads

const running = new Set(); // uploads of this page

function start(file) {
  const state = element('span', { class: 'state' });
  const bar = element('progress', { max: 1, value: 0, 'aria-label': `Progress of ${file.name}` });
  const why = element('p', { class: 'why' });
  const pause = button('Pause', file.name, () => upload.pause());
  const resume = button('Resume', file.name, () => upload.resume());
  const cancel = button('Cancel', file.name, () => upload.cancel());
  const actions = element('p', { class: 'actions' }, pause, resume, cancel);
  $('uploads').prepend(element('li', {},
    element('div', { class: 'row' }, element('span', { class: 'name' }, `${file.name} (${bytes(file.size)})`), state),
    bar, why, actions));

  const show = () => {
    set(state, upload.state === 'sending' ? `${Math.floor(100 * upload.sent / upload.size)} %` : upload.state);
    bar.value = upload.sent / upload.size;
    set(why, upload.problem?.message ?? '');
    // Focus stays on the button that was pressed, though it says something else now.
    const from = upload.state === 'paused' ? pause : resume;
    const focused = document.activeElement === from;
    pause.hidden = upload.state === 'paused';
    resume.hidden = upload.state !== 'paused';
    if (focused) (pause.hidden ? resume : pause).focus();
  };
  const upload = store.upload(file, { onchange: show });
  running.add(upload);
  show();
  upload.done.then(() => state.classList.add('good'), () => state.classList.add('bad')).finally(() => {
    running.delete(upload);
    bar.remove();
    actions.remove();
    refresh();
  });
}

function startAll(files) {
  for (const file of files) start(file);
}

$('files').addEventListener('change', (event) => {
  startAll(event.target.files);
  event.target.value = '';
});
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  // On the whole page, so that a file that misses the box does not replace the page.
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', name === 'dragenter' || name === 'dragover');
    if (name === 'drop') startAll(event.dataTransfer.files);
  });
}

// --- open uploads

const openRow = ({ upload_id, size }) => {
  const title = element('span', { class: 'name' });
  const abort = button('Abort', '', async () => {
    abort.disabled = true;
    await store.request('DELETE', `/v1/uploads/${upload_id}`).catch(() => {}); // stored meanwhile, or tried once more
    abort.disabled = false;
    refresh();
  });
  return {
    node: element('li', { class: 'row' }, title, abort),
    update(name) {
      set(title, size === null ? name : `${name} (${bytes(size)})`);
      abort.setAttribute('aria-label', `Abort ${name}`);
    },
  };
};
const openRows = new Map(); // by upload id

// showOpen lists the uploads that are open, but for those that this page is sending.
function showOpen(uploads, tracks) {
  const titles = new Map(tracks.map((track) => [track.track_id, track.title]));
  const own = new Set([...running].map((upload) => upload.id));
  const shown = uploads.filter((upload) => !own.has(upload.upload_id));
  order($('open'), openRows, shown, (upload) => upload.upload_id, openRow,
    (row, upload) => row.update(titles.get(upload.track_id) ?? `a file for track ${upload.track_id}`));
  $('open-section').hidden = shown.length === 0;
}

// order keeps a list's rows in the order of items, and touches only what changes, so that focus and selection stay.
function order(list, rows, items, id, create, update) {
  const gone = new Set(rows.keys());
  let at = list.firstElementChild;
  for (const item of items) {
    gone.delete(id(item));
    if (!rows.has(id(item))) rows.set(id(item), create(item));
    const row = rows.get(id(item));
    update(row, item);
    if (row.node === at) at = at.nextElementSibling;
    else list.insertBefore(row.node, at);
  }
  for (const key of gone) {
    rows.get(key).node.remove();
    rows.delete(key);
  }
}

// --- migration

function showMigration(status) {
  const total = status.local + status.s3;
  const share = total ? status.s3 / total : 0;
  $('meter').firstElementChild.style.width = `${share * 100}%`;
  $('meter').classList.toggle('none', total === 0);
  $('meter').setAttribute('aria-label', total ? `${Math.round(share * 100)} percent of the tracks are on S3` : 'No tracks yet');
  $('counts').textContent = `${status.s3} on S3 · ${status.local} on local disk`;

  const failures = Object.entries(status.states ?? {}).filter(([state]) => state !== 'migrated' && state !== 'leased');
  const failed = failures.map(([state, n]) => `${n} ${state}`).join(', ');
  let text = status.running ? 'Moving…' : status.error || '';
  if (!status.available) text = 'There is no S3 in this stack: it was started with TRACK_STORAGE_BACKEND=local.';
  else if (!text) text = failed ? `Left where they are: ${failed}.` : status.local ? '' : total ? 'Every track is on S3.' : '';
  $('migration-state').textContent = text;
  $('start').disabled = !status.available || status.running || status.local === 0;
  $('stop').hidden = !status.running;
  $('retry').hidden = status.running || !failed || !status.available;
}

for (const action of ['start', 'stop', 'retry']) {
  $(action).addEventListener('click', async () => {
    try {
      showMigration(await json('/console/migration', { action }));
    } catch (problem) {
      $('migration-state').textContent = problem.message;
    }
    refresh();
  });
}

// --- tracks

const trackRows = new Map(); // by track id

function trackRow({ track_id }) {
  const title = element('td', { class: 'title' });
  const backend = element('td');
  const state = element('td');
  const size = element('td', { class: 'number' });
  const play = button('Play', '', () => store.play($('player'), track_id).catch(() => {}));
  play.addEventListener('click', () => { $('player').hidden = false; }); // which shows a refusal, too
  const rename = button('Rename', '', () => askTitle(track_id, title.textContent));
  return {
    node: element('tr', {}, title, backend, state, size, element('td', { class: 'do' }, play, rename)),
    update(now) {
      const ready = now.status === 'ready';
      set(title, now.title);
      set(backend, ready ? now.storage_backend : '—');
      backend.className = `backend ${ready ? now.storage_backend : ''}`;
      set(state, now.migration_state && now.migration_state !== 'migrated' ? `${now.status}, ${now.migration_state}` : now.status);
      state.title = now.error || '';
      set(size, now.size ? bytes(now.size) : '');
      play.setAttribute('aria-label', `Play ${now.title}`);
      rename.setAttribute('aria-label', `Rename ${now.title}`);
      play.hidden = !ready;
    },
  };
}

function showTracks(tracks) {
  order($('tracks'), trackRows, tracks, (track) => track.track_id, trackRow, (row, track) => row.update(track));
  $('empty').hidden = tracks.length > 0;
}

function askTitle(track, title) {
  const dialog = $('rename');
  dialog.querySelector('input').value = title;
  set(dialog.querySelector('.why'), '');
  dialog.querySelector('form').onsubmit = async (event) => {
    event.preventDefault();
    try {
      await store.request('PATCH', `/v1/tracks/${track}`, { title: dialog.querySelector('input').value });
      dialog.close();
      refresh();
    } catch (problem) {
      set(dialog.querySelector('.why'), problem.message);
    }
  };
  dialog.showModal();
}
$('rename').querySelector('button.quiet').addEventListener('click', () => $('rename').close());

// --- events

const eventRows = new Map(); // by event id

function eventRow({ type, data, time }) {
  const delivered = element('span', { class: 'state' });
  const what = `${type.replace('trackstore.track.', '')}: ${data.title}`;
  const at = element('time', { datetime: time }, new Date(time).toLocaleTimeString());
  return {
    node: element('li', { class: 'row' }, element('span', { class: 'name' }, what, ' ', at), delivered),
    update({ webhook }) { set(delivered, webhook); },
  };
}

function showEvents(events) {
  order($('events'), eventRows, events, (event) => event.id, eventRow, (row, event) => row.update(event));
  $('events-section').hidden = events.length === 0;
}

// --- the page

let lastMigration;

async function refresh() {
  try {
    const [{ tracks }, { uploads }, { events }, migration] = await Promise.all([
      json('/console/tracks'), store.request('GET', '/v1/uploads?state=pending'), json('/console/events'), json('/console/migration'),
    ]);
    showTracks(tracks);
    showOpen(uploads, tracks);
    showEvents(events);
    if (JSON.stringify(migration) !== lastMigration) showMigration(migration);
    lastMigration = JSON.stringify(migration);
    set($('where'), `New uploads go to ${session.backend === 's3' ? 'S3' : 'local disk'}`);
  } catch {
    set($('where'), 'The local stack does not answer.');
    session = undefined;
  }
}

async function tick() {
  if (!document.hidden) await refresh();
  setTimeout(tick, REFRESH);
}
tick();
