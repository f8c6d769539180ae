// The one sender of this post: holds a Web Lock for its life, sends in order, backs off, believes only the ack.
import * as clock from './clock.js';
import * as store from './store.js';

const BACKOFF_MS = [500, 5000];
const IDLE_MS = 20_000;
const VAIN_SENDINGS = 5;
let wakeUp = () => {};
let woken = false;
let problem = null;
let heard = 0;
const listeners = new Set();

export const onState = (listener) => listeners.add(listener);
export const state = () => ({ problem, heard });
export function wake() {
  woken = true;
  wakeUp();
}

function say(itsProblem) {
  problem = itsProblem;
  if (!itsProblem) heard = Date.now();
  listeners.forEach((listener) => listener());
}

async function settle(acks, boot) {
  let moved = false;
  for (const ack of acks) {
    if (ack.stream === 'facts' && ack.boot === boot) moved = (await store.acknowledge(ack)) || moved;
  }
  return moved;
}

// With nothing to send, the centre is asked how far it has us: one that was restored from a backup has us less far.
async function sendOnce() {
  const { agent, boot, base, envelopes } = await store.pack();
  if (!envelopes.length) {
    const reply = await fetch(`/api/facts/${agent}/${boot}`, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    return { more: await settle((await reply.json()).acks, boot), moved: true };
  }
  const reply = await fetch('/api/facts', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(envelopes),
    signal: AbortSignal.timeout(15000),
  });
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
  const moved = await settle((await reply.json()).acks, boot);
  return { more: true, moved, first: envelopes[0].seq + base };
}

async function loop() {
  let delay = BACKOFF_MS[0];
  let stuck = { seq: 0, times: 0 };
  for (;;) {
    let wait = null;
    woken = false;
    try {
      if (clock.offset() === null) await clock.measure();
      const { more, moved, first } = await sendOnce();
      say(null);
      delay = BACKOFF_MS[0];
      if (moved) {
        stuck = { seq: 0, times: 0 };
        if (!more) wait = IDLE_MS;
      } else {
        stuck = first === stuck.seq ? { seq: first, times: stuck.times + 1 } : { seq: first, times: 1 };
        if (stuck.times >= VAIN_SENDINGS) await store.withdraw(first, 'not acknowledged after several sendings');
        wait = BACKOFF_MS[0];
      }
    } catch (error) {
      say(String(error.message ?? error));
      wait = delay * (0.75 + Math.random() / 2);
      delay = Math.min(delay * 2, BACKOFF_MS[1]);
    }
    if (wait !== null && !woken) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        wakeUp = () => { clearTimeout(timer); resolve(); };
      });
    }
    wakeUp = () => {};
  }
}

export function start() {
  for (const name of ['online', 'focus', 'pageshow']) window.addEventListener(name, wake);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) wake(); });
  store.onChange(wake);
  // Web Locks need HTTPS or localhost; without them two tabs may both send, which the identities make harmless.
  if (navigator.locks) navigator.locks.request('copeau-poste-sender', loop);
  else loop();
}
