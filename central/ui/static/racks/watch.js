// The live view. While somebody looks at this page, the camera is asked for thirty seconds at a time, and the newest
// picture is fetched each second. A hidden page asks for nothing.
import { ask } from '../ask.js';

const holder = document.querySelector('#watch');
const picture = document.querySelector('#watch-picture');
const none = document.querySelector('#watch-none');
const age = document.querySelector('#watch-age');
const state = document.querySelector('#watch-state');
const { base } = holder.dataset;
const ASK_MS = 25_000;
const EACH_MS = 1000;
const OLD_S = 10;
const drift = Number(document.documentElement.dataset.now) - Date.now();
let asked = -Infinity;
let mark = null;
let taken = null;

async function look() {
  asked = performance.now();
  try {
    await ask(`${base}/regarder`);
  } catch (problem) {
    state.textContent = problem.message;
  }
}

async function fetchPicture() {
  const reply = await fetch(`${base}/image.jpg`, { cache: 'no-store', headers: mark ? { 'If-None-Match': mark } : {} });
  if (reply.status !== 200) return;
  const address = URL.createObjectURL(await reply.blob());
  mark = reply.headers.get('ETag');
  taken = Number(reply.headers.get('X-Taken'));
  picture.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
  picture.src = address;
  picture.hidden = false;
  none.hidden = true;
}

function tell() {
  if (taken === null) return;
  const seconds = Math.max(0, Math.round((Date.now() + drift) / 1000 - taken));
  age.hidden = false;
  age.classList.toggle('old', seconds > OLD_S);
  age.textContent = seconds < 3 ? 'À l’instant' : seconds < 120 ? `Il y a ${seconds} s` : `Il y a ${Math.round(seconds / 60)} min`;
}

async function turn() {
  if (!document.hidden) {
    try {
      if (performance.now() - asked > ASK_MS) await look();
      await fetchPicture();
    } catch (problem) {
      // The centre is away: the chip of the page says so, and the age of the picture goes on.
      if (!(problem instanceof TypeError)) throw problem;
    }
  }
  tell();
  setTimeout(turn, EACH_MS);
}
turn();

// A place that is touched on the picture is shown in the table below it.
holder.addEventListener('click', (event) => {
  if (event.target.closest('a[href^="#case-"]')) document.querySelector('#cases details')?.setAttribute('open', '');
});
