// Stands in for kamal-proxy and traefik, whichever name it is called by, in tests of what drives
// them. It does what their documentation promises of the options that are used, knows no others, and
// says nothing of how well the real ones do it: no figure is ever taken with it.
//
//   kamal-proxy run --http-port N --https-port N
//       serves on the port; takes commands at $XDG_RUNTIME_DIR/kamal-proxy.sock
//   kamal-proxy deploy SERVICE --target A:P --host H --health-check-path P
//                      --health-check-interval Nms --drain-timeout Nms
//       returns 0 when the target answered 200 on the path and has the traffic, 1 when it did not in 5 s
//   traefik --configFile=FILE
//       serves on the address of the entry point `web`; looks at the file of the file provider again
//       when it is replaced, and sends everything to its one server
import { readFileSync, watch } from 'node:fs';
import { createServer, get, request } from 'node:http';
import { connect, createServer as createSocketServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';

/** `172.18.0.2:3000`, or null. */
let target = null;

function serve(port) {
  createServer((asked, answer) => {
    if (target === null) return answer.writeHead(404).end();
    const [host, to] = target.split(':');
    const { method, url, headers } = asked;
    const sending = request({ host, port: to, method, path: url, headers, agent: false }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
    });
    sending.on('error', () => answer.destroy());
    return asked.pipe(sending);
  }).listen(port, '127.0.0.1');
}

const socket = join(process.env.XDG_RUNTIME_DIR ?? '/nowhere', 'kamal-proxy.sock');

function optionsOf(args, names) {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  for (const name of names) if (values[name] === undefined) throw new Error(`--${name} is missing`);
  return { values, positionals };
}

async function isHealthy(of, path, everyMs) {
  for (const end = Date.now() + 5000; Date.now() < end; await delay(everyMs)) {
    const status = await new Promise((resolve) => {
      get(`http://${of}${path}`, { agent: false }, (response) => resolve(response.resume().statusCode)).on(
        'error',
        () => resolve(0),
      );
    });
    if (status === 200) return true;
  }
  return false;
}

function runKamalProxy(args) {
  const { values } = optionsOf(args, ['http-port', 'https-port']);
  serve(Number(values['http-port']));
  createSocketServer((connection) => {
    connection.on('error', () => undefined);
    connection.once('data', async (data) => {
      const asked = JSON.parse(String(data));
      const ok = await isHealthy(asked.target, asked.path, asked.everyMs);
      if (ok) target = asked.target;
      connection.end(ok ? 'ok' : 'not healthy');
    });
  }).listen(socket);
}

function deployKamalProxy(args) {
  const names = ['target', 'host', 'health-check-path', 'health-check-interval', 'drain-timeout'];
  const { values } = optionsOf(args, names);
  const everyMs = Number(/^(\d+)ms$/.exec(values['health-check-interval'])[1]);
  const connection = connect(socket);
  connection.write(JSON.stringify({ target: values.target, path: values['health-check-path'], everyMs }));
  let answer = '';
  connection.on('data', (data) => (answer += String(data)));
  connection.on('end', () => {
    if (answer !== 'ok') console.error(answer);
    process.exitCode = answer === 'ok' ? 0 : 1;
  });
}

function runTraefik(args) {
  const { values } = optionsOf(args, ['configFile']);
  const { entryPoints, providers } = parse(readFileSync(values.configFile, 'utf8'));
  const { filename } = providers.file;
  const look = () => {
    const { routers, services } = parse(readFileSync(filename, 'utf8')).http;
    const { service } = Object.values(routers)[0];
    target = new URL(services[service].loadBalancer.servers[0].url).host;
  };
  watch(dirname(filename), (event, name) => name === basename(filename) && look());
  look();
  serve(Number(entryPoints.web.address.split(':')[1]));
}

const [command, ...rest] = process.argv.slice(3);
if (process.argv[2] === 'traefik') runTraefik(process.argv.slice(3));
else if (command === 'run') runKamalProxy(rest);
else if (command === 'deploy') deployKamalProxy(rest);
else throw new Error(`unknown command ${command}`);
