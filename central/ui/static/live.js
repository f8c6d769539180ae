// Keeps a page alive: one EventSource, each part of the page asks again for itself when its topic changes.
// A part says data-live="stock machine:tour-1"; "machine:" alone means every machine.
const parts = () => document.querySelectorAll('[data-live]');
const chip = document.querySelector('#live');
const zone = document.documentElement.dataset.zone;
const clock = new Intl.DateTimeFormat('fr-FR', { hour: '2-digit', minute: '2-digit', timeZone: zone });
let lastHeard = new Date();
let lost = false;
const waiting = new Set();

function concerns(part, topics) {
  return part.dataset.live.split(' ').some((wanted) => topics.some((topic) => (wanted.endsWith(':') ? topic.startsWith(wanted) : topic === wanted)));
}

// At once when it is quiet; in a busy shop each part asks at most every `PACE_MS`. A part in which somebody types waits.
const SOON_MS = 60;
const PACE_MS = 800;
// What an act was answered with stands long enough to be read.
const READ_MS = 2500;
const asked = new Map();
const answered = new Map();
function refresh(part) {
  if (waiting.has(part.id)) return;
  waiting.add(part.id);
  const delay = Math.max(SOON_MS, (asked.get(part.id) ?? 0) + PACE_MS - performance.now());
  setTimeout(() => {
    waiting.delete(part.id);
    const present = document.getElementById(part.id);
    if (!present) return;
    const unread = (answered.get(part.id) ?? -Infinity) + READ_MS - performance.now();
    if (unread > 0) {
      setTimeout(() => refresh(present), unread);
      return;
    }
    asked.set(part.id, performance.now());
    if (present.querySelector('[data-editing] :is(input, select, textarea):focus')) setTimeout(() => refresh(present), 3000);
    else window.htmx.trigger(present, 'live');
  }, delay);
}

function show() {
  if (!chip) return;
  chip.classList.toggle('lost', lost);
  chip.querySelector('span').textContent = lost ? `Hors ligne, dernière mise à jour ${clock.format(lastHeard)}` : 'En direct';
}

function age(seconds) {
  if (seconds < 10) return 'à l’instant';
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')}`;
  const days = Math.floor(seconds / 86400);
  return `${days} jour${days > 1 ? 's' : ''}`;
}

// The server's clock counts, not this PC's: the page says when it was made.
const drift = Number(document.documentElement.dataset.now) - Date.now();
function tick() {
  for (const element of document.querySelectorAll('time[data-since]')) {
    const text = age(Math.max(0, (Date.now() + drift) / 1000 - Number(element.dataset.since)));
    const words = element.dataset.words ?? '';
    element.textContent = text === 'à l’instant' || !words ? text : `${words} ${text}`;
  }
}

// The page knows the id it was made at, so nothing falls between its making and the opening of the stream.
let seen = document.documentElement.dataset.after;
let stream = null;
function listen() {
  stream = new EventSource(`/api/live?after=${seen}`);
  stream.onopen = () => {
    if (lost) for (const part of parts()) refresh(part);
    lost = false;
    lastHeard = new Date();
    show();
  };
  stream.onerror = () => {
    lost = true;
    show();
    // An answer that is no stream (a proxy's error page) ends it for good: begin again.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  stream.onmessage = (event) => {
    lastHeard = new Date();
    seen = event.lastEventId || seen;
    const topics = Object.keys(JSON.parse(event.data));
    for (const part of parts()) if (concerns(part, topics)) refresh(part);
  };
  stream.addEventListener('resync', (event) => {
    seen = event.lastEventId || seen;
    for (const part of parts()) refresh(part);
  });
}
listen();
window.addEventListener('pagehide', () => stream.close());
window.addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
setInterval(tick, 1000);
document.body.addEventListener('htmx:afterSwap', tick);
document.body.addEventListener('htmx:afterSwap', (event) => {
  const { requestConfig, target } = event.detail;
  if (requestConfig?.verb === 'get' || !target?.id) return;
  if (document.getElementById(target.id)?.querySelector('.decided, .message')) answered.set(target.id, performance.now());
});

// What a person has unfolded stays unfolded when its list is read again.
let unfolded = [];
document.body.addEventListener('htmx:beforeSwap', (event) => {
  unfolded = [...event.detail.target.querySelectorAll('[id] > details[open], [id] details[open]')].map((details) => details.closest('[id]').id);
});
document.body.addEventListener('htmx:afterSettle', () => {
  for (const id of unfolded) document.getElementById(id)?.querySelector('details')?.setAttribute('open', '');
  unfolded = [];
});
tick();
