// A page that shows which version answers. Change version.txt, commit, and watch the page.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { hostname } from 'node:os';

const version = readFileSync(new URL('version.txt', import.meta.url), 'utf8').trim();
const greeting = process.env.GREETING ?? 'Hello';
const port = Number(process.env.PORT ?? 3000);

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text) => text.replace(/[&<>"]/g, (character) => escapes[character]);

/** One hue per version, so that a switch is seen from across the room. */
const hue = [...version].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 360, 200);

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(greeting)}, version ${escape(version)}</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center;
         font: 1.1rem/1.5 system-ui, sans-serif; color: #fff; background: hsl(${hue} 55% 38%); }
  h1 { font-size: 5rem; line-height: 1.1; margin: 0; }
  p { margin: .3rem; opacity: .85; }
</style>
<p>${escape(greeting)}, this is version</p>
<h1>${escape(version)}</h1>
<p>answered by container ${escape(hostname())}</p>
<script>
  // Reloads as soon as another version answers.
  setInterval(async () => {
    const answer = await fetch('/version').catch(() => null);
    if (answer?.ok && (await answer.text()).trim() !== ${JSON.stringify(version).replace(/</g, '\\u003c')}) location.reload();
  }, 500);
</script>
</html>
`;

const answers = {
  '/': ['text/html; charset=utf-8', page],
  '/version': ['text/plain; charset=utf-8', `${version}\n`],
  '/healthz': ['text/plain; charset=utf-8', 'ok\n'],
};

const server = createServer((request, response) => {
  const [type, body] = answers[request.url.split('?')[0]] ?? [];
  if (body === undefined) {
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('not found\n');
    return;
  }
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
});

// 0.0.0.0, not 127.0.0.1: the requests come from outside of the container.
server.listen(port, '0.0.0.0', () => console.log(`version ${version} listens on port ${port}`));

// Requests in hand are answered, idle connections are closed, then the process ends by itself.
process.once('SIGTERM', () => {
  console.log('asked to stop: finishing requests in hand');
  server.close(() => console.log('stopped'));
  server.closeIdleConnections();
});
