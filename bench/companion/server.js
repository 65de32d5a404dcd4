// Uppy's own Companion, set up as its documentation says, signing forms for a bucket.
// Prints its port.
import * as companion from '@uppy/companion';
import express from 'express';

const { app } = companion.app({
  secret: 'of the benchmark', filePath: '/tmp', uploadUrls: [/.*/], corsOrigins: true,
  server: { host: 'localhost', protocol: 'http' },
  s3: { key: 'key', secret: 'secret', bucket: 'bucket', region: 'us-east-1', endpoint: 'http://127.0.0.1:1' },
});
const server = express().use(app).listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
