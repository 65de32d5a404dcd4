// Starts what the tests talk to: the real local stack, in a folder of its own, and a second web server that serves pages
// from another origin. Both end with the test run.
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const START = 600_000; // milliseconds; the first start may build the S3 server

export default async function setup(config) {
  const pages = await servePages();
  const dir = mkdtempSync(join(tmpdir(), 'trackstore-e2e-'));
  // The console page is opened through a line, too, and is of that one's origin then.
  const lines = await Promise.all(Array.from({ length: config.workers }, freePort));
  const origins = [pages.origin, ...lines.map((port) => `http://127.0.0.1:${port}`)];
  const stack = spawn(join(here, '../bin/trackstore'), ['dev'], {
    cwd: join(here, '..'),
    env: { ...process.env, PORT: String(await freePort()), TRACKSTORE_DEV_DIR: dir, CORS_ALLOWED_ORIGINS: origins.join(',') },
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
  process.env.E2E_STORAGE = env.AWS_S3_ENDPOINT;
  process.env.E2E_TOKEN = env.TRACKSTORE_TOKEN;
  process.env.E2E_JWT_SECRET = env.JWT_SECRET;
  process.env.E2E_DATABASE_URL = env.DATABASE_URL;
  process.env.E2E_PAGES = pages.origin;
  process.env.E2E_LINES = lines.join();

  return async () => {
    pages.close();
    const ended = new Promise((resolve) => { stack.once('exit', resolve); });
    stack.kill('SIGTERM');
    const code = await ended;
    rmSync(dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the local stack ended with ${code}:\n${log}`);
  };
}

async function servePages() {
  const bundle = (entry) => build({ ...entry, bundle: true, format: 'esm', write: false, outdir: 'dist', logLevel: 'error' });
  const page = await bundle({ entryPoints: [join(here, 'uppy/page.js')] });
  const uppy = await bundle({ stdin: { contents: example('js', 1), resolveDir: here } });
  const files = new Map(page.outputFiles.map((file) => [file.path.endsWith('.css') ? '/uppy.css' : '/uppy.js', file.contents]));
  files.set('/uppy-example.js', uppy.outputFiles[0].contents);
  files.set('/uppy.html', readFileSync(join(here, 'uppy/index.html')));
  files.set('/trackstore.html', readFileSync(join(here, 'trackstore.html')));
  files.set('/trackstore.js', readFileSync(join(here, '../web/trackstore.js')));
  files.set('/example.js', example('js', 0));
  const types = { js: 'text/javascript', css: 'text/css', html: 'text/html; charset=utf-8' };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    if (!files.has(pathname)) return response.writeHead(404).end();
    const policy = searchParams.has('no-worker') && { 'Content-Security-Policy': "worker-src 'none'" };
    return response.writeHead(200, { 'Content-Type': types[pathname.split('.').pop()], ...policy }).end(files.get(pathname));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => { server.close(); server.closeAllConnections(); },
  };
}

// example returns the nth example of a language in docs/clients.md, as it stands.
function example(language, n) {
  const text = readFileSync(join(here, '../docs/clients.md'), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)].filter(([, name]) => name === language)[n][2];
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
