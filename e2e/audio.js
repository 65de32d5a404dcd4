import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const dir = mkdtempSync(join(tmpdir(), 'trackstore-e2e-files-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

// wav writes a real WAV file of noise (8 kHz, 16 bit, mono) and returns its path.
export function wav(name, bytes) {
  return write(name, wavBytes(bytes));
}

// wavBytes makes one. Noise, so that no two files and no two parts are alike.
export function wavBytes(bytes = 64_000) {
  const head = Buffer.alloc(44);
  const data = randomBytes(bytes - 44 & ~1);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

// text writes a text file under any name.
export function text(name) {
  return write(name, Buffer.from('<!doctype html><p>This is no audio.</p>\n'.repeat(200)));
}

// m4a writes the boxes of an MPEG-4 file with one track, of sound, under any name.
export function m4a(name) {
  const box = (type, ...content) => {
    const all = Buffer.concat(content);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + all.length);
    head.write(type, 4, 'latin1');
    return Buffer.concat([head, all]);
  };
  const hdlr = Buffer.concat([Buffer.alloc(8), Buffer.from('soun'), Buffer.alloc(13)]);
  return write(name, Buffer.concat([
    box('ftyp', Buffer.from('M4A \0\0\0\0M4A mp42isom')),
    box('mdat', randomBytes(50_000)),
    box('moov', box('trak', box('mdia', box('hdlr', hdlr)))),
  ]));
}

function write(name, content) {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}
