import { connect, json } from './api.js';
import { upload } from './upload.js';

const $ = (id) => document.getElementById(id);
const REFRESH = 1000; // milliseconds

const REASONS = {
  not_audio: 'This is no audio of a kind that is taken.',
  size_mismatch: 'The size differs from what was announced.',
  checksum_mismatch: 'The checksum differs from what was announced.',
};

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

async function start(file) {
  const cancel = new AbortController();
  const state = element('span', { class: 'state' }, 'opening');
  const bar = element('progress', { max: 1, value: 0, 'aria-label': `Progress of ${file.name}` });
  const button = element('button', { type: 'button', class: 'quiet', 'aria-label': `Cancel ${file.name}`, onclick: () => cancel.abort() }, 'Cancel');
  const item = element('li', {},
    element('div', { class: 'row' }, element('span', { class: 'name' }, `${file.name} (${bytes(file.size)})`), state),
    bar, button);
  $('uploads').prepend(item);

  const end = (text, mood, why) => {
    state.textContent = text;
    state.classList.add(mood);
    bar.remove();
    button.remove();
    if (why) item.append(element('p', { class: 'why' }, why));
  };
  try {
    const result = await upload(file, (phase, fraction) => {
      state.textContent = phase === 'sending' ? `${Math.floor(fraction * 100)} %` : 'sent, waiting for the event';
      bar.value = fraction;
    }, cancel.signal);
    if (result.state === 'stored') end('stored', 'good');
    else end(result.state, 'bad', [REASONS[result.reason] || result.reason, result.detail && `(${result.detail})`].filter(Boolean).join(' '));
  } catch (problem) {
    end(cancel.signal.aborted ? 'cancelled' : 'failed', 'bad', cancel.signal.aborted ? '' : problem.message);
  }
  refresh();
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

const rows = new Map(); // by track id, so that a refresh leaves focus and selection alone

function showTracks(tracks) {
  const gone = new Set(rows.keys());
  for (const track of tracks) {
    gone.delete(track.track_id);
    let row = rows.get(track.track_id);
    if (!row) rows.set(track.track_id, row = newRow(track));
    row.update(track);
  }
  for (const id of gone) {
    rows.get(id).node.remove();
    rows.delete(id);
  }
  // Put rows in order, and touch only those that are out of it.
  let at = $('tracks').firstElementChild;
  for (const track of tracks) {
    const { node } = rows.get(track.track_id);
    if (node === at) at = at.nextElementSibling;
    else $('tracks').insertBefore(node, at);
  }
  $('empty').hidden = tracks.length > 0;
}

function newRow(track) {
  const title = element('td', { class: 'title' });
  const backend = element('td');
  const state = element('td');
  const size = element('td', { class: 'number' });
  const play = element('button', { type: 'button', class: 'quiet', onclick: () => playTrack(track.track_id) }, 'Play');
  const node = element('tr', {}, title, backend, state, size, element('td', { class: 'do' }, play));
  const set = (cell, text) => { if (cell.textContent !== text) cell.textContent = text; };
  return {
    node,
    update(now) {
      const ready = now.status === 'ready';
      set(title, now.title);
      set(backend, ready ? now.storage_backend : '—');
      backend.className = `backend ${ready ? now.storage_backend : ''}`;
      set(state, now.migration_state && now.migration_state !== 'migrated' ? `${now.status}, ${now.migration_state}` : now.status);
      state.title = now.error || '';
      set(size, now.size ? bytes(now.size) : '');
      play.setAttribute('aria-label', `Play ${now.title}`);
      play.hidden = !ready;
    },
  };
}

function playTrack(id) {
  const player = $('player');
  player.hidden = false;
  player.src = `/console/tracks/${id}/audio`;
  player.play().catch(() => {}); // a refusal shows in the player itself
}

// --- the page

let lastMigration;

async function refresh() {
  try {
    const [{ tracks }, migration] = await Promise.all([json('/console/tracks'), json('/console/migration')]);
    showTracks(tracks);
    if (JSON.stringify(migration) !== lastMigration) showMigration(migration);
    lastMigration = JSON.stringify(migration);
  } catch {
    $('where').textContent = 'The local stack does not answer.';
    session = null;
  }
}

let session;

async function tick() {
  try {
    if (!session) {
      session = await connect();
      $('where').textContent = `New uploads go to ${session.backend === 's3' ? 'S3' : 'local disk'}`;
    }
    if (!document.hidden) await refresh();
  } catch {
    $('where').textContent = 'The local stack does not answer.';
  }
  setTimeout(tick, REFRESH);
}
tick();
