// What a camera saw this operator take, as long as the centre answers: "Pas ça" in one touch, and for which operation.
// Nothing here is needed to work: without the centre the post shows none of it.
import { h, icon } from './view.js';

let person = null;
let told = { beliefs: [], charges: [] };
let stream = null;
let changed = () => {};
let failed = () => {};

export function onChange(callback, onTrouble) {
  changed = callback;
  failed = onTrouble;
}

// Follows who is at the post; null closes the line to the centre.
export function follow(id) {
  if (id === person) return;
  person = id;
  told = { beliefs: [], charges: [] };
  stream?.close();
  stream = null;
  if (!person) return;
  stream = new EventSource('/api/live');
  stream.onmessage = (event) => {
    const topics = Object.keys(JSON.parse(event.data));
    if (topics.some((topic) => topic.startsWith('beliefs:') || topic === 'charges' || topic === 'proposals')) load();
  };
  stream.addEventListener('resync', load);
  load();
}

export async function load() {
  const asked = person;
  if (!asked) return;
  try {
    const reply = await fetch(`/api/poste/rayonnages?personne=${encodeURIComponent(asked)}`, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
    if (!reply.ok || person !== asked) return;
    const next = await reply.json();
    if (JSON.stringify(next) === JSON.stringify(told)) return;
    told = next;
    changed();
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== 'TimeoutError' && error.name !== 'AbortError') throw error;
  }
}

async function post(path, fields) {
  try {
    const reply = await fetch(path, { method: 'POST', headers: { 'HX-Request': 'true' }, body: new URLSearchParams({ person, ...fields }) });
    if (reply.ok && !reply.headers.has('X-Refused')) return await reply.json();
    failed((await reply.text()).replace('Ce n’est pas possible. ', ''));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    failed('Le centre ne répond pas : rien n’a été enregistré. Recommencez dans un instant.');
  }
  return null;
}

const pieces = (qty) => `${Math.abs(qty) / 1000} ${qty < 0 ? 'pris' : 'rendu'}`;
const moved = (one) => (one.to ? `${Math.abs(one.qty) / 1000} déplacé vers ${one.qty < 0 ? one.to : one.place}` : pieces(one.qty));
const word = (one) => (one.state === 'automatic' && (one.to || one.qty > 0) ? (one.to ? 'noté' : 'remis en stock') : WORDS[one.state] ?? one.state);
const WORDS = { automatic: 'débité', doubt: 'à confirmer', ask: 'combien ?', contested: 'à corriger', confirmed: 'confirmé', corrected: 'corrigé', refused: 'annulé', settled: 'réglé' };

async function notThat(belief) {
  const answer = await post(`/api/poste/rayonnages/${belief.observation}/pas-ca`, {});
  if (answer) await ask({ ...belief, proposal: answer.proposal });
  await load();
}

// "Combien, en vrai ?": eleven big keys; one touch answers.
async function ask(belief) {
  const done = await new Promise((resolve) => {
    let way = belief.qty > 0 ? 'return' : 'take';
    const dialog = h('dialog', { class: 'how-many', 'aria-label': 'Combien, en vrai ?' });
    const close = (value) => { dialog.close(); dialog.remove(); resolve(value); };
    dialog.addEventListener('cancel', (event) => { event.preventDefault(); close(null); });
    const ways = [['take', 'Pris', 'take'], ['return', 'Rendu', 'return']].map(([name, label, its]) => h('button', { type: 'button', class: 'big', 'data-way': name, 'aria-pressed': String(way === name), onclick: () => {
      way = name;
      for (const one of ways) one.setAttribute('aria-pressed', String(one.dataset.way === name));
    } }, icon(its), label));
    dialog.append(
      h('header', {}, h('h1', {}, 'Combien, en vrai ?'), h('button', { class: 'plain', type: 'button', 'aria-label': 'Fermer', onclick: () => close(null) }, icon('cross'))),
      h('p', {}, belief.label),
      h('div', { class: 'ways' }, ways),
      h('div', { class: 'digits' }, Array.from({ length: 11 }, (_, count) => h('button', { type: 'button', class: 'big', onclick: () => close({ quantity: String(count), way }) }, count ? String(count) : '0, rien'))));
    document.body.append(dialog);
    dialog.showModal();
  });
  if (done) await post(`/api/poste/questions/${belief.proposal}`, done);
}

const charge = async (observation, operation) => {
  const done = await post(`/api/poste/imputer/${observation}`, { operation });
  await load();
  return done;
};

// The last belief, above the operations.
export function beliefs() {
  const [last, ...others] = told.beliefs;
  if (!last) return null;
  const line = (one) => h('li', {}, h('b', {}, moved(one)), ' ', one.label, h('small', {}, word(one)));
  const button = last.state === 'ask' || last.state === 'contested'
    ? h('button', { class: 'big primary', 'data-key': 'how-many', onclick: () => ask(last).then(load) }, icon('verify'), 'Combien ?')
    : last.contestable ? h('button', { class: 'big', 'data-key': 'not-that', onclick: () => notThat(last) }, icon('cross'), 'Pas ça') : null;
  return h('article', { class: 'card moving belief' },
    h('p', { class: 'state' }, icon('camera'), h('span', {}, `${moved(last)} : ${word(last)}`)),
    h('p', { class: 'about' }, last.label),
    h('p', { class: 'muted' }, [last.place, last.operation].filter(Boolean).join(' · ')),
    others.length ? h('ul', { class: 'taken' }, others.slice(0, 3).map(line)) : null,
    button ? h('div', { class: 'buttons' }, button) : null);
}

// What is to be charged; at "Terminer" only what may belong to that operation.
export function charges(operation = null) {
  const mine = told.charges.filter((one) => (operation ? one.likely.includes(operation) : one.likely.length));
  if (!mine.length) return null;
  const offer = (one) => {
    const row = h('li', {}, h('p', {}, h('b', {}, pieces(one.qty)), ' ', one.label, ' ', h('small', { class: 'muted' }, one.place ?? '')),
      h('div', { class: 'buttons' },
        (operation ? [operation] : one.likely).map((code) => h('button', { type: 'button', class: 'big', 'data-key': `c-${one.observation}-${code}`, onclick: () => settle(row, one, code, `Imputé à ${code}`) }, icon('operation'), code)),
        h('button', { type: 'button', class: 'big', 'data-key': `c-${one.observation}-none`, onclick: () => settle(row, one, '', 'Hors opération') }, icon('cross'), operation ? 'Non' : 'Aucune')));
    return row;
  };
  return h('section', { class: 'charges' }, h('h2', {}, operation ? 'Pris pour cette opération ?' : 'À imputer'), h('ul', {}, mine.map(offer)));
}

async function settle(row, one, operation, words) {
  const done = await charge(one.observation, operation);
  if (done) row.replaceChildren(h('p', { class: 'muted' }, icon('check'), ` ${words} : ${one.label}`));
}
