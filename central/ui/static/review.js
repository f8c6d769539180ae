// The list to check, by touch or by keyboard: J and K choose, Enter confirms, digits then Enter correct, R refuses,
// U takes the last answer back. What was answered leaves at once as "Envoi…" and comes back when it was not written down.
import { ask } from './ask.js';

const list = () => document.querySelector('#review');
const cards = () => [...document.querySelectorAll('#review .proposal')];
const find = (id) => document.getElementById(`proposition-${id}`);
const said = document.querySelector('#review-said');
const CALM_MS = 600;
let current = null;
let changedAt = 0;
const typed = new Map();
const ways = new Map();
const pending = new Map();
const failed = new Map();
let turn = Promise.resolve();

const isOpen = (card) => !pending.has(card.dataset.id);

function choose(id, { focus = true } = {}) {
  current = id;
  paint();
  const card = id && find(id);
  if (card && focus) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  }
}

// The list is read again whenever something happened: what a person has chosen and typed stays.
function paint() {
  const open = cards().filter(isOpen);
  if (!current || !open.some((card) => card.dataset.id === current)) {
    const next = open[0]?.dataset.id ?? null;
    if (current) changedAt = performance.now();
    current = next;
  }
  for (const card of cards()) {
    const { id } = card.dataset;
    const chosen = id === current;
    card.classList.toggle('current', chosen);
    card.classList.toggle('sending', pending.has(id));
    card.querySelector('[data-choose]').setAttribute('aria-expanded', String(chosen));
    const note = card.querySelector('.note-sending');
    note.textContent = pending.has(id) ? `Envoi : ${pending.get(id)}…` : failed.get(id) ?? '';
    note.hidden = !note.textContent;
    note.classList.toggle('fault', failed.has(id));
    const field = card.querySelector('[data-number]');
    if (field && typed.has(id) && document.activeElement !== field) field.value = typed.get(id);
    if (ways.has(id)) for (const button of card.querySelectorAll('[data-way]')) button.setAttribute('aria-pressed', String(button.dataset.way === ways.get(id)));
  }
}

function say(text, form = 'normal') {
  said.className = `said ${form}`;
  said.textContent = text;
}

function way(card) {
  return ways.get(card.dataset.id) ?? card.querySelector('[data-way][aria-pressed="true"]')?.dataset.way ?? card.dataset.way;
}

function number(card) {
  return (card.querySelector('[data-number]')?.value ?? '').trim();
}

const WORDS = { confirmer: 'confirmé', refuser: 'refusé', corriger: 'corrigé', imputer: 'imputé' };

function decide(card, act, more = {}) {
  const { id } = card.dataset;
  const body = new URLSearchParams(more);
  if (act === 'corriger') {
    if (!number(card)) {
      say('Tapez d’abord le nombre.', 'attention');
      return card.querySelector('[data-number]')?.focus();
    }
    body.set('quantity', number(card));
    body.set('way', way(card) ?? 'take');
  }
  failed.delete(id);
  pending.set(id, WORDS[act] ?? act);
  const open = cards();
  const place = open.indexOf(card);
  const next = open.slice(place + 1).find(isOpen) ?? open.slice(0, place).reverse().find(isOpen);
  choose(next?.dataset.id ?? null);
  turn = turn.then(() => send(card.dataset.path ?? `/revue/${id}`, id, act, body));
  return undefined;
}

async function send(path, id, act, body) {
  let problem = null;
  let away = false;
  let html = null;
  try {
    html = await (await ask(`${path}/${act}`, body)).text();
  } catch (error) {
    problem = error.message;
    away = error.away ?? false;
  }
  pending.delete(id);
  if (problem) {
    failed.set(id, problem);
    say(problem, 'fault');
    if (!away) window.htmx.trigger(list(), 'live');
  } else {
    typed.delete(id);
    ways.delete(id);
    if (act === 'annuler') current = id.slice(1);
    say(act === 'annuler' ? 'La question est de nouveau ouverte.' : act === 'imputer' ? 'Imputation enregistrée.' : 'Enregistré. U l’annule pendant 10 minutes.');
    if (!pending.size) window.htmx.swap('#review', html, { swapStyle: 'outerHTML', swapDelay: 0, settleDelay: 0 }, { afterSettleCallback: paint });
  }
  paint();
}

function type(card, key) {
  const { id } = card.dataset;
  const field = card.querySelector('[data-number]');
  if (!field) return;
  const before = field.value;
  typed.set(id, key === 'back' ? before.slice(0, -1) : key === 'clear' ? '' : (before + key).slice(0, 8));
  field.value = typed.get(id);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || !list()?.contains(button)) return;
  const card = button.closest('.proposal');
  const { choose: chosen, digit, way: wanted, act } = button.dataset;
  if (chosen !== undefined) choose(card.dataset.id);
  else if (digit !== undefined) type(card, digit);
  else if (wanted !== undefined) {
    ways.set(card.dataset.id, wanted);
    paint();
  } else if (act === 'annuler') turn = turn.then(() => send(`/revue/${button.dataset.id}`, `u${button.dataset.id}`, act, new URLSearchParams()));
  else if (act === 'imputer') {
    const operation = button.dataset.from ? document.getElementById(button.dataset.from).value : button.dataset.operation;
    if (button.dataset.from && !operation) say('Choisissez d’abord l’opération.', 'attention');
    else decide(card, act, { operation });
  } else if (act) decide(card, act);
});

document.addEventListener('input', (event) => {
  const card = event.target.closest('#review .proposal');
  if (card && event.target.matches('[data-number]')) typed.set(card.dataset.id, event.target.value);
});

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const inNumber = event.target.matches('[data-number]');
  if (event.target.matches('input, textarea, select') && !inNumber) return;
  const key = event.key.toLowerCase();
  if (inNumber && key !== 'enter' && key !== 'escape') return;
  const card = current && find(current);
  const open = cards().filter(isOpen);
  const go = (step) => {
    const place = open.findIndex((one) => one.dataset.id === current);
    const next = open[Math.min(open.length - 1, Math.max(0, place + step))];
    if (next) choose(next.dataset.id);
  };
  if (key === 'j' || key === 'k') go(key === 'j' ? 1 : -1);
  else if (key === 'u') list().querySelector('[data-act="annuler"]')?.click();
  else if (key === 'enter' && event.target.closest('button, a, summary') && !event.target.matches('[data-choose]')) return;
  else if (!card) return;
  else if (/^[0-9]$/.test(key)) type(card, key);
  else if (key === 'backspace') type(card, 'back');
  else if (key === 'escape') {
    type(card, 'clear');
    card.focus();
  } else if (key === 'enter' || key === 'r' || key === 'c') {
    // A key never answers a question that came under the eyes a moment ago by itself.
    if (performance.now() - changedAt < CALM_MS) return;
    const act = key === 'r' ? 'refuser' : key === 'enter' && number(card) ? 'corriger' : 'confirmer';
    const button = card.querySelector(`[data-act="${act}"]`);
    if (!button) say(act === 'confirmer' ? 'Ici il faut un nombre : tapez-le, puis Entrée.' : 'Cette question ne se refuse pas.', 'attention');
    else decide(card, act);
  } else return;
  event.preventDefault();
});

document.body.addEventListener('htmx:afterSettle', (event) => {
  if (event.target.id === 'review' || event.target.querySelector?.('#review') || document.querySelector('#review') === event.detail.elt) {
    paint();
    const card = current && find(current);
    if (card && (document.activeElement === document.body || document.activeElement === null)) card.focus({ preventScroll: true });
  }
});
paint();
document.documentElement.dataset.review = 'prete';
