// The post: badge or choose, scan or type, start, suspend, resume, end. Every screen works without the centre.
import { BadCheck, formatCode, parseCode } from './codes.js';
import * as clock from './clock.js';
import * as dialogs from './dialogs.js';
import { meaning, operations, reasons, firstPhase } from './model.js';
import * as pin from './pin.js';
import * as programmes from './programmes.js';
import * as racks from './racks.js';
import { listen } from './scan.js';
import * as sender from './sender.js';
import * as store from './store.js';
import { clockText, elapsed, h, icon, number } from './view.js';

const RELEASE_MS = 10 * 3600_000;
const COPY_EVERY_MS = 20_000;
const screen = document.querySelector('#screen');
const ui = { mode: null, selected: null, after: null, item: null, taken: [], toast: null };
let data = { copy: null, operator: null, facts: [], pending: 0, agent: '', acked: 0 };

async function load() {
  const [copy, operator, status] = await Promise.all([store.get('copy'), store.get('operator'), store.status()]);
  const facts = await store.after(Math.min(copy?.acked ?? 0, status.acked));
  const fresh = operator && Date.now() - operator.used < RELEASE_MS;
  racks.follow(fresh ? operator.id : null);
  data = { copy, operator: fresh ? operator : null, facts, pending: status.pending, agent: status.agent, acked: status.acked };
}

async function refresh() {
  await load();
  render();
}

// What the centre knows now, limited to this post; `acked` says which of our own facts it already contains.
async function fetchCopy() {
  const { acked, agent } = await store.status();
  try {
    const reply = await fetch(`/api/poste/copie?poste=${agent}`, { cache: 'no-store', signal: AbortSignal.timeout(8000) });
    if (!reply.ok) return;
    await store.put('copy', { ...(await reply.json()), acked, fetched: Date.now() });
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== 'TimeoutError' && error.name !== 'AbortError') throw error;
  }
}

const terminal = matchMedia('(pointer: fine)').matches ? 'pc' : Math.min(innerWidth, innerHeight) < 600 ? 'phone' : 'tablet';
const personName = (id) => data.copy?.persons?.find((one) => one.id === id)?.name ?? id;
const mine = () => operations(data.copy, data.facts, data.operator?.id, data.acked);
const find = (code) => mine().find((one) => one.code.toUpperCase() === code.toUpperCase()) ?? { code, unknown: true, mine: null };

// --- facts ---------------------------------------------------------------------------------------------------------

async function write(kind, body, said) {
  try {
    await store.record(kind, body, data.operator ? { operator: { ...data.operator, used: Date.now() } } : {});
  } catch (error) {
    toast(`Rien n’a été enregistré : ${error.message}. Libérez de la place sur cet appareil, puis recommencez.`, 'fault');
    return false;
  }
  // The chip must not say "Synchronisé" beside "Enregistré"; the rest of the screen follows from the store.
  data.pending += 1;
  render();
  navigator.vibrate?.(40);
  toast(said, 'normal');
  sender.wake();
  return true;
}

async function clocked(action, operation, extra = {}, said = '') {
  const body = { action, operation: operation.code, person: data.operator.id, post: data.agent, terminal, ...extra };
  if (await write('work.clocked', body, `Enregistré : ${said} ${operation.code}`)) {
    ui.selected = null;
    await refresh();
  }
}

const actions = {
  start: (operation) => clocked('start', operation, { phase: operation.unknown ? null : firstPhase(operation) }, 'démarré'),
  resume: (operation) => clocked('resume', operation, {}, 'repris'),
  firstGood: (operation) => clocked('first_good', operation, { phase: 'run' }, 'première bonne,'),
  async pause(operation) {
    const reason = await dialogs.reason(reasons(data.copy));
    if (reason) await clocked('pause', operation, { reason }, 'suspendu');
  },
  async end(operation) {
    const result = await dialogs.end(operation, racks.charges(operation.code));
    if (result) await clocked('end', operation, result, 'terminé');
  },
};

async function moved(text, format, mode = ui.mode) {
  const body = { code: text, format, post: data.agent, action: mode, qty: 1000, person: data.operator?.id ?? null, operation: running()?.code ?? null };
  const verb = mode === 'take' ? 'Pris' : 'Rendu';
  const item = data.copy?.items?.find((one) => one.code === itemCode(text));
  if (await write('code.scanned', body, `Enregistré : ${verb.toLowerCase()} ${item?.name ?? text}`)) {
    ui.taken.unshift({ verb, text: item?.name ?? text, at: clock.now() });
    ui.taken.length = Math.min(ui.taken.length, 6);
    await refresh();
  }
}

const running = () => { const list = mine().filter((one) => one.mine?.state === 'running'); return list.length === 1 ? list[0] : null; };
function itemCode(text) {
  const found = meaning([text], data.copy, parseCode, BadCheck);
  return found.type === 'item' ? found.id : text;
}

// --- codes ---------------------------------------------------------------------------------------------------------

// One thing after the other: a scan that follows a button in the same breath sees what the button has recorded.
let turn = Promise.resolve();
function inTurn(act) {
  dialogs.dismiss();
  turn = turn.then(act).catch((error) => toast(`Cette action a échoué : ${error.message}`, 'fault'));
  return turn;
}

async function read(candidates, format = 'clavier', mode = ui.mode) {
  await load();
  const found = meaning(candidates, data.copy, parseCode, BadCheck);
  if (found.type === 'bad') return toast(`Code mal lu : ${found.text}. Scannez encore une fois.`, 'attention');
  if (found.type === 'programme') return withOperator(() => programmes.scanned(found.id, data.agent, data.operator.id));
  programmes.close();
  if (found.type === 'person') return choose(found.id);
  if (found.type === 'operation') return withOperator(() => operationRead(found.id));
  if (mode) return withOperator(() => moved(found.text, format, mode));
  if (found.type === 'item' || found.type === 'unknown') {
    ui.item = { text: found.text, format };
    return withOperator(render);
  }
  await seen(found.text, format);
}

async function seen(text, format) {
  await write('code.scanned', { code: text, format, post: data.agent, action: 'identify', person: data.operator?.id ?? null }, `Lu et gardé : ${text}`);
  await refresh();
}

// One scan starts an operation; the next one asks for the good parts and ends it.
function operationRead(code) {
  const operation = find(code);
  if (!operation.mine) return actions.start(operation);
  if (operation.mine.state === 'paused') return actions.resume(operation);
  return actions.end(operation);
}

function withOperator(then) {
  if (data.operator) return then();
  ui.after = then;
  return render();
}

async function choose(id) {
  const asked = data.copy?.persons?.find((one) => one.id === id)?.pin;
  if (asked && !(await pin.shown(data.agent, id, personName(id), toast))) return;
  await store.put('operator', { id, used: Date.now() });
  await load();
  const then = ui.after;
  ui.after = null;
  render();
  if (then) await then();
}

async function leave() {
  programmes.close();
  if (data.copy?.persons?.find((one) => one.id === data.operator?.id)?.pin) pin.left(data.agent, data.operator.id);
  await store.put('operator', null);
  Object.assign(ui, { mode: null, selected: null, after: null, item: null, taken: [] });
  await refresh();
}

async function type() {
  const text = await dialogs.code();
  if (!text) return;
  const whole = text.includes(':') ? text : data.copy?.operations?.some((one) => one.code.toUpperCase() === text.toUpperCase()) ? formatCode('OP', text) : text;
  await read([whole], 'clavier');
}

// --- screens -------------------------------------------------------------------------------------------------------

function render() {
  // An action area that has the focus keeps it: the same button, found by its key.
  const key = document.activeElement?.dataset?.key;
  const body = !data.operator ? who() : programmes.open() ? programmes.screen() : ui.item ? ask() : post();
  screen.replaceChildren(top(), h('main', {}, body), data.operator ? bottom() : '');
  if (key) screen.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function top() {
  const { problem, heard } = sender.state();
  const waiting = data.pending > 0;
  const text = waiting ? `Enregistré · ${data.pending} en attente` : heard ? `Synchronisé ${clockText(heard)}` : problem ? 'Hors ligne' : 'Connexion…';
  const form = waiting || problem ? 'attention' : 'normal';
  return h('header', { class: 'top' },
    data.operator
      ? h('button', { class: 'who', 'data-key': 'leave', onclick: leave, title: 'Changer d’opérateur' }, icon('person'), h('span', {}, personName(data.operator.id)), h('small', {}, 'Changer'))
      : h('p', { class: 'who' }, icon('chip'), h('span', {}, 'Poste')),
    h('button', { class: `sync ${form}`, 'data-key': 'sync', onclick: () => { sender.wake(); fetchCopy(); }, title: problem ? `Le centre ne répond pas (${problem}). Rien n’est perdu.` : 'Synchroniser maintenant' },
      icon(problem ? 'silent' : waiting ? 'sync' : 'check'), h('span', { role: 'status' }, text)));
}

function who() {
  const persons = data.copy?.persons ?? [];
  return h('section', { class: 'who-list' },
    h('h1', {}, 'Qui êtes-vous ?'),
    h('p', { class: 'muted' }, icon('scan'), ' Passez votre badge, ou touchez votre nom.'),
    persons.length
      ? h('div', { class: 'choices' }, persons.map((person) => h('button', { class: 'big', 'data-key': `p-${person.id}`, onclick: () => inTurn(() => choose(person.id)) }, icon('person'), person.name)))
      : h('p', { class: 'hint' }, h('strong', {}, 'Aucun opérateur connu ici.'), ' Ce poste n’a pas encore reçu sa copie du centre. Passez un badge, ou vérifiez que le centre est allumé.'));
}

// An item was read outside "Prendre" and "Rendre": one tap says which.
function ask() {
  const { text, format } = ui.item;
  const code = itemCode(text);
  const name = data.copy?.items?.find((one) => one.code === code)?.name ?? text;
  const go = (mode) => () => inTurn(async () => { Object.assign(ui, { mode, item: null }); await moved(text, format); });
  return h('section', { class: 'who-list' },
    h('h1', {}, 'Pris ou rendu ?'),
    h('p', {}, name),
    h('div', { class: 'choices' },
      h('button', { class: 'big primary', onclick: go('take') }, icon('take'), 'Je le prends'),
      h('button', { class: 'big', onclick: go('return') }, icon('return'), 'Je le rends')),
    h('button', { class: 'plain', onclick: () => { ui.item = null; render(); } }, 'Ni l’un ni l’autre'));
}

function post() {
  const list = mine();
  const active = list.filter((one) => one.mine).sort((a, b) => b.mine.since - a.mine.since);
  const selected = ui.selected && list.find((one) => one.code === ui.selected && !one.mine);
  const file = list.filter((one) => !one.mine && one.status !== 'done' && one.kind !== 'external' && !one.unknown);
  return [
    ui.mode ? moving() : null,
    racks.beliefs(),
    selected ? card(selected) : null,
    active.map(card),
    racks.charges(),
    !active.length && !selected && !ui.mode ? h('p', { class: 'hint' }, h('strong', {}, 'Rien en cours.'), ' Scannez le code d’une opération pour la démarrer, ou choisissez-la ci-dessous.') : null,
    h('section', { class: 'file' },
      h('h2', {}, 'À faire'),
      file.length
        ? h('ul', {}, file.map((one) => h('li', {}, h('button', { class: 'row', 'data-key': `o-${one.code}`, 'aria-expanded': String(ui.selected === one.code), onclick: () => { ui.selected = ui.selected === one.code ? null : one.code; render(); scrollTo({ top: 0, behavior: 'smooth' }); } },
          h('b', { class: 'code' }, one.code), h('span', {}, one.description ?? ''), h('small', {}, amounts(one), one.machine_name ? ` · ${one.machine_name}` : '')))))
        : h('p', { class: 'hint' }, data.copy ? 'Aucune opération n’attend ce poste.' : 'La copie du centre n’est pas encore arrivée : scannez, tout est gardé.')),
    data.copy ? h('p', { class: 'age muted' }, `Copie du centre de ${clockText(data.copy.fetched)} · ${data.agent}`) : null,
  ];
}

function amounts(operation) {
  if (!operation.quantity) return '';
  return `${number(operation.good ?? 0)} / ${number(operation.quantity)} bonnes`;
}

function card(operation) {
  const { mine: clocking } = operation;
  const form = !clocking ? 'idle' : clocking.state === 'paused' ? 'paused' : clocking.phase === 'setup' ? 'setup' : 'run';
  const words = { idle: 'Prête', paused: `Suspendue${clocking?.reason ? ` : ${clocking.reason}` : ''}`, setup: 'Réglage', run: 'Série' }[form];
  const picture = { idle: 'operation', paused: 'pause', setup: 'setup', run: 'running' }[form];
  const button = (name, label, its, kind = '') => h('button', { class: `big ${kind}`, 'data-key': `${name}-${operation.code}`, onclick: () => inTurn(() => actions[name](find(operation.code))) }, icon(its), label);
  const buttons = {
    idle: [button('start', 'Démarrer', 'running', 'primary')],
    paused: [button('resume', 'Reprendre', 'running', 'primary'), button('end', 'Terminer', 'stop')],
    setup: [button('firstGood', 'Première bonne', 'star', 'primary'), button('pause', 'Suspendre', 'pause'), button('end', 'Terminer', 'stop')],
    run: [button('end', 'Terminer', 'stop', 'primary'), button('pause', 'Suspendre', 'pause')],
  }[form];
  return h('article', { class: `card ${form}` },
    h('p', { class: 'state' }, icon(picture), h('span', {}, words), clocking ? h('time', { 'data-from': clocking.since }, elapsed(clock.now() - clocking.since)) : null),
    h('h1', {}, operation.code),
    h('p', { class: 'about' }, [operation.article, operation.description].filter(Boolean).join(' · ') || (operation.unknown ? 'Inconnue de la copie de ce poste ; le centre la reconnaîtra.' : '')),
    operation.consigne ? h('p', { class: 'consigne' }, icon('info'), operation.consigne) : null,
    h('p', { class: 'muted' }, [operation.machine_name, amounts(operation)].filter(Boolean).join(' · '), operation.waiting ? h('span', { class: 'queued' }, icon('sync'), 'en attente d’envoi') : null),
    h('div', { class: 'buttons' }, buttons));
}

function moving() {
  const take = ui.mode === 'take';
  return h('article', { class: `card moving ${ui.mode}` },
    h('p', { class: 'state' }, icon(take ? 'take' : 'return'), h('span', {}, take ? 'Prendre : scannez chaque article' : 'Rendre : scannez chaque article')),
    ui.taken.length ? h('ul', { class: 'taken' }, ui.taken.map((one) => h('li', {}, h('b', {}, one.verb), ' ', one.text, h('small', {}, clockText(one.at))))) : h('p', { class: 'muted' }, running() ? `Sera compté sur ${running().code}.` : 'Passez l’article devant le lecteur, ou tapez son code.'),
    h('div', { class: 'buttons' }, h('button', { class: 'big', 'data-key': 'done', onclick: () => { ui.mode = null; ui.taken = []; render(); } }, icon('check'), 'Fini')));
}

function bottom() {
  const mode = (name, label) => h('button', { class: 'big', 'data-key': name, 'aria-pressed': String(ui.mode === name), onclick: () => { programmes.close(); ui.mode = ui.mode === name ? null : name; ui.taken = []; render(); } }, icon(name), label);
  return h('footer', { class: 'bottom' }, mode('take', 'Prendre'), mode('return', 'Rendre'), h('button', { class: 'big', 'data-key': 'type', onclick: () => inTurn(type) }, icon('keyboard'), 'Code'));
}

function toast(text, form) {
  const region = document.querySelector('#toast');
  clearTimeout(ui.toast);
  region.replaceChildren(h('p', { class: form }, icon({ normal: 'check', attention: 'attention', fault: 'alarm' }[form]), text));
  ui.toast = setTimeout(() => region.replaceChildren(), form === 'normal' ? 4000 : 12_000);
}

// --- start ---------------------------------------------------------------------------------------------------------

setInterval(() => {
  for (const element of document.querySelectorAll('time[data-from]')) element.textContent = elapsed(clock.now() - Number(element.dataset.from));
}, 1000);
setInterval(() => { if (!document.hidden) { fetchCopy(); racks.load(); } }, COPY_EVERY_MS);
addEventListener('online', () => { clock.measure().catch(() => {}); fetchCopy(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) { clock.measure().catch(() => {}); fetchCopy(); } });

listen((candidates) => {
  const { mode } = ui;
  inTurn(() => read(candidates, 'lecteur', mode));
});
programmes.onChange(render);
racks.onChange(render, (text) => toast(text, 'fault'));
store.onChange(refresh);
sender.onState(render);
await refresh();
sender.start();
await fetchCopy();
navigator.storage?.persist?.();
if ('serviceWorker' in navigator) await navigator.serviceWorker.register('/sw.js', { scope: '/poste' });
document.documentElement.dataset.ready = 'oui';
