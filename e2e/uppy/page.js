// A page as a web team would build it: Uppy as it comes from npm, told nothing but where
// its companion is. ?companion= is the URL that POST /v1/companion-sessions answered.
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';
import Dashboard from '@uppy/dashboard';
import GoldenRetriever from '@uppy/golden-retriever';
import '@uppy/core/css/style.css';
import '@uppy/dashboard/css/style.css';

const query = new URLSearchParams(location.search);

const uppy = new Uppy({ id: query.get('id') ?? 'e2e' })
  .use(Dashboard, { inline: true, target: '#uppy', showProgressDetails: true })
  .use(GoldenRetriever)
  .use(AwsS3, {
    companionEndpoint: query.get('companion'),
    ...(query.has('multipart') && { shouldUseMultipart: true }),
  });

window.uppy = uppy; // the tests press its buttons, and read its state here
window.done = [];
window.failed = [];
uppy.on('upload-success', (file) => window.done.push(file.name));
uppy.on('upload-error', (file, error) => window.failed.push([file.name, error.message]));
