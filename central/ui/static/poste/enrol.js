// Makes this browser one of the shop's terminals: the one-time token of the address, once, for a secret in a cookie that
// no script can read.
import * as store from './store.js';

const said = document.querySelector('#said');
const button = document.querySelector('#enrol');
const token = location.hash.slice(1);
history.replaceState(null, '', location.pathname); // the token stays in no history

function say(text) {
  said.textContent = text;
}

if (!token) {
  button.hidden = true;
  say('Il manque le code : scannez de nouveau le QR de la page Agents.');
}

button.addEventListener('click', async () => {
  button.disabled = true;
  try {
    const { agent, pending } = await store.status();
    const holds = pending > 0 && (await store.get('enrolled')) ? agent : '';
    const reply = await fetch('/api/enrol/terminal', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token, holds }),
      signal: AbortSignal.timeout(15_000),
    });
    const answer = await reply.json();
    if (!reply.ok) throw new Error(answer.detail ?? `Le centre a refusé (réponse ${reply.status}).`);
    await store.become(answer.name);
    await navigator.storage?.persist?.();
    say(`C’est fait : ce poste s’appelle « ${answer.label} ».`);
    button.hidden = true;
    document.querySelector('#go').hidden = false;
  } catch (error) {
    say(error instanceof TypeError || error.name === 'TimeoutError' ? 'Le centre ne répond pas : vérifiez le Wi-Fi, puis recommencez.' : error.message);
    button.disabled = false;
  }
});
