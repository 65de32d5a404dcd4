// Starts what the tests talk to: the real local stack, in a folder of its own, and a second
// web server that serves the Uppy page from another origin. Both end with the test run.
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const START = 600_000; // milliseconds; the first start may build the S3 server

export default async function setup() {
  const page = await serveUppy();
  const dir = mkdtempSync(join(tmpdir(), 'trackstore-e2e-'));
  const port = await freePort();
  const stack = spawn(join(here, '../bin/trackstore'), ['dev'], {
    cwd: join(here, '..'),
    env: { ...process.env, PORT: String(port), TRACKSTORE_DEV_DIR: dir, CORS_ALLOWED_ORIGINS: page.origin },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  stack.stdout.on('data', (text) => { log += text; });
  stack.stderr.on('data', (text) => { log += text; });

  const envFile = join(dir, 'env');
  for (const start = Date.now(); !existsSync(envFile); await sleep(100)) {
    if (stack.exitCode !== null || Date.now() - start > START) {
      stack.kill('SIGKILL');
      throw new Error(`the local stack did not come up:\n${log}`);
    }
  }
  const env = Object.fromEntries([...readFileSync(envFile, 'utf8').matchAll(/^(?:export )?(\w+)=(.*)$/gm)]
    .map(([, name, value]) => [name, value.replace(/^(['"])(.*)\1$/, '$2')]));
  process.env.E2E_URL = env.TRACKSTORE_URL;
  process.env.E2E_TOKEN = env.TRACKSTORE_TOKEN;
  process.env.E2E_DATABASE_URL = env.DATABASE_URL;
  process.env.E2E_UPPY = page.origin;

  return async () => {
    page.close();
    const ended = new Promise((resolve) => { stack.once('exit', resolve); });
    stack.kill('SIGTERM');
    const code = await ended;
    rmSync(dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the local stack ended with ${code}:\n${log}`);
  };
}

async function serveUppy() {
  const bundle = await build({
    entryPoints: [join(here, 'uppy/page.js')],
    bundle: true,
    format: 'esm',
    write: false,
    outdir: 'dist',
    logLevel: 'error',
  });
  const files = new Map(bundle.outputFiles.map((file) => [file.path.endsWith('.css') ? '/page.css' : '/page.js', file.contents]));
  files.set('/', readFileSync(join(here, 'uppy/index.html')));
  const types = { '/page.js': 'text/javascript', '/page.css': 'text/css', '/': 'text/html; charset=utf-8' };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (!files.has(pathname)) return response.writeHead(404).end();
    return response.writeHead(200, { 'Content-Type': types[pathname] }).end(files.get(pathname));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => { server.close(); server.closeAllConnections(); },
  };
}

function freePort() {
  return new Promise((resolve) => {
    const socket = createSocket();
    socket.listen(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

function sleep(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
