// One HTTP request as bytes on a connection of its own: sends what ordinary clients refuse to send, and tells what came
// back, or that nothing whole did.

import { connect } from 'node:net';

// Resolves to {status, headers, body} or {dropped: why}.
export function exchange(host, port, bytes, { timeoutMs = 45_000 } = {}) {
  return new Promise((resolve) => {
    const chunks = [];
    const isHead = Buffer.from(bytes).subarray(0, 5).toString() === 'HEAD ';
    const socket = connect(port, host);
    const timer = setTimeout(() => {
      resolve({ dropped: `no whole answer within ${timeoutMs} ms` });
      socket.destroy();
    }, timeoutMs);
    const end = (why) => {
      clearTimeout(timer);
      resolve(parse(Buffer.concat(chunks), isHead) ?? { dropped: why });
      socket.destroy();
    };
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => end('the connection ended within the answer'));
    socket.on('error', (error) => end(error.message));
    socket.on('connect', () => socket.write(bytes));
  });
}

// undefined unless it is a whole answer; that to HEAD has the length of a body and none.
function parse(bytes, head) {
  let text = bytes.toString('latin1');
  while (text.startsWith('HTTP/1.1 100 ')) text = text.slice(text.indexOf('\r\n\r\n') + 4);
  const headEnd = text.indexOf('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
  if (headEnd < 0 || !status) return undefined;
  const headers = Object.fromEntries(
    text.slice(0, headEnd).split('\r\n').slice(1).map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const rest = text.slice(headEnd + 4);
  let body = rest;
  if (headers['transfer-encoding'] === 'chunked') {
    if (!rest.endsWith('0\r\n\r\n')) return undefined;
  } else if (status !== 204 && rest.length !== (head ? 0 : Number(headers['content-length']))) {
    return undefined;
  } else {
    body = Buffer.from(rest, 'latin1').toString('utf8');
  }
  return { status, headers, body };
}

// The bytes of a request; `target` and `body` may be strings or buffers of anything.
export function requestBytes(method, target, headers, body) {
  const head = Buffer.concat([
    Buffer.from(`${method} `),
    Buffer.from(target),
    Buffer.from(` HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`, 'latin1'),
  ]);
  const content = body === undefined ? Buffer.alloc(0) : Buffer.from(body);
  return Buffer.concat([head, Buffer.from(body === undefined ? '\r\n' : `content-length: ${content.length}\r\n\r\n`), content]);
}
