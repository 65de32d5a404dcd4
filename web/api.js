// The HTTP API as this page uses it. The token is the demo user's, handed out by the
// local stack; a real client brings its own.

let session;

// connect fetches the session, and again when its token has run out.
export async function connect() {
  session = await json('/console/session');
  return session;
}

// call sends a request to the API as the demo user, and throws its problem's detail.
export async function call(method, path, body, fresh = true) {
  const answer = await fetch(path, {
    method,
    headers: {
      Authorization: `Bearer ${session.token}`,
      ...(body && { 'Content-Type': 'application/json' }),
    },
    body: body && JSON.stringify(body),
  });
  if (answer.status === 401 && fresh) {
    await connect();
    return call(method, path, body, false);
  }
  return read(answer);
}

// json reads one of the console's own resources, or sends it an object.
export async function json(path, body) {
  return read(await fetch(path, body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  }));
}

async function read(answer) {
  const text = await answer.text();
  let value;
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = { detail: text };
  }
  if (!answer.ok) throw new Error(value.detail || `${answer.status} ${answer.statusText}`);
  return value;
}
