// The post's own outbox. "Enregistré" means that the IndexedDB transaction is complete with durability 'strict'.
import { openDB } from '/static/vendor/idb.js';
import { stamp } from './clock.js';

const KEEP_MS = 7 * 86400_000;
const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');
const STRICT = { durability: 'strict' };

// `boot` is born with the database file: a cleared browser can never speak with an identity that was used before.
const opening = openDB('copeau-poste', 1, {
  upgrade(db, _old, _new, transaction) {
    db.createObjectStore('facts', { keyPath: 'seq', autoIncrement: true });
    const meta = db.createObjectStore('meta');
    const store = transaction.objectStore('meta');
    store.put(`poste-${hex(3)}`, 'agent');
    store.put(hex(12), 'boot');
    store.put(0, 'base');
    store.put(0, 'acked');
    return meta;
  },
});

export const site = document.documentElement.dataset.site;
const channel = new BroadcastChannel('copeau-poste');
const listeners = new Set();
channel.onmessage = () => listeners.forEach((listener) => listener());
export const onChange = (listener) => listeners.add(listener);
function changed() {
  channel.postMessage('changed');
  listeners.forEach((listener) => listener());
}

export async function get(key) {
  return (await opening).get('meta', key);
}

export async function put(key, value) {
  const db = await opening;
  const transaction = db.transaction('meta', 'readwrite', STRICT);
  await Promise.all([transaction.store.put(value, key), transaction.done]);
  changed();
}

// One fact on disk, with what the screen must remember of it in the same transaction. Resolves when it is durable.
export async function record(kind, body, remember = {}) {
  const db = await opening;
  const transaction = db.transaction(['facts', 'meta'], 'readwrite', STRICT);
  const seq = await transaction.objectStore('facts').add({ ...stamp(), kind, body });
  for (const [key, value] of Object.entries(remember)) transaction.objectStore('meta').put(value, key);
  await transaction.done;
  changed();
  return seq;
}

// Rows after the last ack, and every row that the read copy cannot know yet.
export async function after(seq, limit = 500) {
  return (await opening).getAll('facts', IDBKeyRange.lowerBound(seq, true), limit);
}

export async function status() {
  const db = await opening;
  const [agent, boot, acked, base] = await Promise.all(['agent', 'boot', 'acked', 'base'].map((key) => db.get('meta', key)));
  const pending = await db.count('facts', IDBKeyRange.lowerBound(acked, true));
  return { agent, boot, acked, base, pending };
}

// Rows as they travel. A row that cannot be read any more is declared lost, so that the ack can pass it.
export async function pack(limit = 200) {
  const { agent, boot, acked, base } = await status();
  const rows = await after(acked, limit);
  const envelopes = [];
  let expected = acked + 1;
  for (const { seq, kind, body, ts, run, mono, off } of rows) {
    const wrap = (number, itsKind, itsBody) => ({
      v: 1, site, agent, boot, stream: 'facts', seq: number - base, ts, run, mono, off, kind: itsKind, body: itsBody,
    });
    if (seq > expected) {
      envelopes.push(wrap(seq - 1, 'stream.lost', { first: expected - base, last: seq - 1 - base, why: 'row missing in the post' }));
    }
    envelopes.push(wrap(seq, kind, body));
    expected = seq + 1;
  }
  return { agent, boot, base, envelopes };
}

// The name that the centre gave. Under another name than before, what is not sent yet speaks under a new identity.
export async function become(name) {
  const db = await opening;
  const transaction = db.transaction('meta', 'readwrite', STRICT);
  const meta = transaction.store;
  const [agent, acked] = await Promise.all([meta.get('agent'), meta.get('acked')]);
  if (agent !== name) {
    meta.put(name, 'agent');
    meta.put(hex(12), 'boot');
    meta.put(acked, 'base');
  }
  meta.put(true, 'enrolled');
  await transaction.done;
  changed();
}

// The centre has everything up to `upto`. Returns whether that moved us.
export async function acknowledge({ boot, upto }) {
  const db = await opening;
  const transaction = db.transaction(['facts', 'meta'], 'readwrite', STRICT);
  const meta = transaction.objectStore('meta');
  const facts = transaction.objectStore('facts');
  const [ownBoot, acked, base, newest] = await Promise.all([meta.get('boot'), meta.get('acked'), meta.get('base'), facts.openKeyCursor(null, 'prev')]);
  let moved = false;
  if (boot === ownBoot) {
    const last = Math.max(newest?.key ?? 0, acked);
    const reached = Math.min(upto + base, last);
    if (upto + base > last) {
      // This file went back in time: what the centre has is settled, what comes next speaks under a new identity.
      meta.put(hex(12), 'boot');
      meta.put(last, 'base');
    }
    moved = reached !== acked;
    // Lower than before: the centre was restored from a backup, and gets again what it lost.
    if (moved) meta.put(reached, 'acked');
    const old = new Date(Date.now() - KEEP_MS).toISOString();
    for (let cursor = await facts.openCursor(); cursor && cursor.key <= reached && cursor.value.ts < old; cursor = await cursor.continue()) {
      cursor.delete();
    }
  }
  await transaction.done;
  if (moved) changed();
  return moved;
}

// The centre could not read this row after several sendings: kept aside here, and said there.
export async function withdraw(seq, why) {
  const db = await opening;
  const transaction = db.transaction(['facts', 'meta'], 'readwrite', STRICT);
  const facts = transaction.objectStore('facts');
  const row = await facts.get(seq);
  const base = await transaction.objectStore('meta').get('base');
  const number = seq - base;
  await facts.put({ ...row, kind: 'stream.withdrawn', body: { first: number, last: number, why }, aside: { kind: row.kind, body: row.body } });
  await transaction.done;
}
