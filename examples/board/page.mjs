const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text) => text.replace(/[&<>"]/g, (character) => escapes[character]);

/** The page: notes as they come in over the WebSocket, which finds the new version after a switch. */
export function renderPage(title, version) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>
  body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1.05rem/1.5 system-ui, sans-serif; color: #222; }
  h1 small { font-weight: normal; color: #777; font-size: .9rem; }
  form { display: flex; gap: .5rem; } input { flex: 1; } input, button { font: inherit; padding: .4rem .6rem; }
  li { margin: .3rem 0; } li small { color: #777; }
</style>
<h1>${escape(title)} <small>page of version ${escape(version)}, connected to <b id="version">…</b></small></h1>
<form><input name="text" maxlength="200" placeholder="A note for everybody" required autofocus><button>Pin it</button></form>
<ul></ul>
<script>
  const list = document.querySelector('ul');
  const live = document.getElementById('version');
  function connect() {
    const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/live');
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.kind === 'welcome') {
        live.textContent = 'version ' + event.version;
        list.textContent = '';
      }
      for (const note of event.notes) {
        const item = document.createElement('li');
        const origin = document.createElement('small');
        item.textContent = note.text + ' ';
        origin.textContent = 'pinned by version ' + note.version;
        item.append(origin);
        list.prepend(item);
      }
    };
    socket.onclose = () => { live.textContent = '…'; setTimeout(connect, 500); };
  }
  connect();
  document.forms[0].onsubmit = async (event) => {
    event.preventDefault();
    const form = event.target;
    await fetch('/notes', { method: 'POST', body: form.text.value });
    form.reset();
  };
</script>
</html>
`;
}
