// Passkeys: makes one on the account page, shows one at sign-in and for a signature. A button appears only where the browser can: over HTTPS
// (or on this machine), under a name; an address of numbers has no passkeys.
import { ask } from './ask.js';

const can = window.isSecureContext && 'PublicKeyCredential' in window && !/^[\d.]+$|:/.test(location.hostname);

const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const known = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function make(form) {
  const options = await (await ask('/compte/cles/demande', new URLSearchParams(new FormData(form)))).json();
  const made = await navigator.credentials.create({ publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: known(options.excludeCredentials),
  } });
  const { response } = made;
  const reply = await ask('/compte/cles', {
    id: made.id, rawId: text(made.rawId), type: made.type, clientExtensionResults: {},
    response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject), transports: response.getTransports?.() ?? [] },
  });
  if (reply.status === 204) location.reload();
  else document.querySelector('#factor-next').innerHTML = await reply.text();
}

async function answer(path) {
  const options = await (await ask(path, new URLSearchParams())).json();
  const shown = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) } });
  const { response } = shown;
  return {
    id: shown.id, rawId: text(shown.rawId), type: shown.type, clientExtensionResults: {},
    response: {
      clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData),
      signature: text(response.signature), userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
}

async function show() {
  const reply = await ask('/connexion/cle', await answer('/connexion/cle/demande'));
  location.assign(await reply.text());
}

// The answer goes with the password, in the request that signs.
async function sign(form) {
  form.elements.code.required = false;
  try {
    if (!form.reportValidity()) return;
    form.elements.key.value = JSON.stringify(await answer(form.dataset.keys));
    form.requestSubmit();
  } finally {
    form.elements.code.required = true;
  }
}

function say(sentence) {
  const place = document.querySelector('#factor-next') ?? document.querySelector('#refus');
  const line = document.createElement('p');
  line.className = 'decided refused';
  line.setAttribute('role', 'alert');
  line.textContent = sentence;
  place.replaceChildren(line);
}

for (const button of can ? document.querySelectorAll('[data-passkey]') : []) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await { make, show, sign }[button.dataset.passkey](button.form);
    } catch (error) {
      // NotAllowedError: the person closed the browser's own dialogue, or took too long
      say(error.name === 'NotAllowedError' ? 'La clé d’accès n’a pas été montrée.' : error.message);
    } finally {
      button.disabled = false;
    }
  });
}
