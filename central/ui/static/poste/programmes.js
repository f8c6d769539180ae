// A programme's QR at the post: what it is, into which machine, and what became of it. Loading needs the centre, which
// keeps the validated text and asks the machine's agent; the screen says so when there is none.
import { h, icon } from './view.js';

const LOOK_MS = 2000;
const ASK_MS = 700;
const ENDED = new Set(['done', 'unread', 'refused', 'broken', 'expired']);
let shown = null;
let timer = null;
let draw = () => {};

export const onChange = (listener) => { draw = listener; };
export const open = () => shown !== null;

export function close() {
  clearTimeout(timer);
  shown = null;
}

// The QR read again, with nothing against it, loads: a reader alone is enough.
export async function scanned(id, post, person) {
  if (shown?.id === id && !shown.transfer && ready()) return load();
  close();
  shown = { id, post, person, about: null, machine: null, problem: '', transfer: null };
  draw();
  await look();
}

async function ask(path, options = {}) {
  const reply = await fetch(`/api/programmes/${path}`, { cache: 'no-store', signal: AbortSignal.timeout(8000), ...options });
  const body = await reply.json();
  if (!reply.ok) throw new Refused(typeof body.detail === 'string' ? body.detail : 'Le centre n’a pas compris la demande.');
  return body;
}

class Refused extends Error {}

// True when the centre is not there: anything else is a fault of ours and is thrown.
function away(error) {
  if (error instanceof TypeError || error instanceof SyntaxError || error.name === 'TimeoutError' || error.name === 'AbortError') return true;
  throw error;
}

async function look() {
  const mine = shown;
  try {
    const about = await ask(`${mine.id}/scan?post=${encodeURIComponent(mine.post)}`);
    mine.about = about;
    mine.machine ??= about.machine;
    mine.offline = false;
  } catch (error) {
    if (error instanceof Refused) mine.problem = error.message;
    else mine.offline = away(error);
  }
  if (shown !== mine || mine.transfer) return;
  draw();
  if (!mine.problem) timer = setTimeout(look, LOOK_MS);
}

async function load() {
  const mine = shown;
  clearTimeout(timer);
  mine.transfer = { state: 'asked', detail: '' };
  draw();
  try {
    const { transfer } = await ask(`${mine.id}/load`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ machine: mine.machine, person: mine.person }) });
    mine.transfer.id = transfer;
    if (shown === mine) await follow();
  } catch (error) {
    if (error instanceof Refused) mine.transfer = { state: 'refused', detail: error.message };
    else if (away(error)) mine.transfer = { state: 'unknown', detail: '' };
    draw();
  }
}

async function follow() {
  const mine = shown;
  try {
    Object.assign(mine.transfer, await ask(`transfers/${mine.transfer.id}`));
    mine.offline = false;
  } catch (error) {
    if (error instanceof Refused) mine.transfer = { state: 'refused', detail: error.message };
    else mine.offline = away(error);
  }
  if (shown !== mine) return;
  draw();
  if (!ENDED.has(mine.transfer.state)) timer = setTimeout(follow, ASK_MS);
}

const choice = () => shown.about?.choices.find((one) => one.code === shown.machine) ?? null;
const ready = () => Boolean(shown.about && !shown.offline && !shown.about.refusal && choice() && !choice().refusal);

function again() {
  shown.transfer = null;
  look();
  draw();
}

function leave() {
  close();
  draw();
}

// --- screen --------------------------------------------------------------------------------------------------------

export function screen() {
  const { about, problem, offline, transfer } = shown;
  const machine = choice();
  return h('section', { class: 'card programme', 'aria-live': 'polite' },
    h('p', { class: 'state' }, icon('programme'), h('span', {}, about?.version ? `Programme · version ${about.version} validée` : 'Programme')),
    h('h1', {}, about?.name ?? `Programme n° ${shown.id}`),
    about?.label ? h('p', { class: 'about' }, about.label) : null,
    machine ? h('p', { class: 'muted' }, `${machine.label} · ${machine.state_label}`) : null,
    machine?.warnings.length && !transfer ? h('ul', { class: 'warnings' }, machine.warnings.map((text) => h('li', {}, icon('attention'), text))) : null,
    body(about, machine, problem, offline, transfer));
}

function body(about, machine, problem, offline, transfer) {
  if (transfer) return outcome(transfer, machine, offline);
  if (problem) return [verdict('no', 'attention', problem), buttons(back())];
  if (offline) return [verdict('no', 'silent', 'Charger demande le centre.', 'Il ne répond pas. Le pointage continue ; le programme se charge dès que le centre est là.'), buttons(back())];
  if (!about) return verdict('wait', 'sync', 'Lecture de la fiche…');
  if (about.refusal) return [verdict('no', 'attention', ...halves(about.refusal)), buttons(back())];
  if (!machine) {
    return about.choices.length
      ? [h('h2', {}, 'Sur quelle machine ?'), h('div', { class: 'choices' }, about.choices.map((one) => h('button', { class: 'big', 'data-key': `m-${one.code}`, onclick: () => { shown.machine = one.code; draw(); } }, one.label))), buttons(back())]
      : [verdict('no', 'attention', 'Aucune machine n’est raccordée.'), buttons(back())];
  }
  if (machine.refusal) return [verdict('no', 'attention', ...halves(machine.refusal)), buttons(back())];
  return [h('p', { class: 'muted' }, 'Scannez le QR encore une fois, ou touchez :'),
    buttons(h('button', { class: 'big primary', 'data-key': 'load', onclick: load }, icon('import'), `Charger sur ${machine.label}`), back())];
}

function outcome(transfer, machine, offline) {
  const where = machine?.label ?? 'la machine';
  switch (transfer.state) {
    case 'done': return [verdict('done', 'check', `Dans ${where}, relu identique.`, transfer.detail), buttons(back('Terminé', 'primary'))];
    case 'unread': return [verdict('no', 'attention', 'Envoyé, pas relu.', transfer.detail), buttons(back('Terminé', 'primary'))];
    case 'refused': return [verdict('no', 'cross', ...halves(transfer.detail || 'Refusé.')), buttons(retry(), back())];
    case 'broken': return [verdict('danger', 'alarm', 'NE PAS LANCER CE PROGRAMME', transfer.detail), buttons(retry(), back())];
    case 'expired': return [verdict('no', 'clock', 'Pas de réponse de la machine.', transfer.detail), buttons(retry(), back())];
    case 'unknown': return [verdict('no', 'silent', 'Le centre ne répond pas.', 'La demande est peut-être partie : voir ce que la machine contient avant de recommencer.'), buttons(retry(), back())];
    default: return [verdict('wait', 'sync', 'Envoi en cours…', offline ? 'Le centre ne répond plus : l’envoi continue à la machine, le résultat viendra.' : 'La machine reçoit, puis son texte est relu et comparé. Ne pas la démarrer. Sur une ligne série : READ à la commande, puis PUNCH.'), buttons(back('Masquer'))];
  }
}

// "La machine tourne. Attendre la fin…": what it is in big letters, what to do under it.
function halves(text) {
  const end = text.search(/[.:] /);
  return end < 0 ? [text, ''] : [text.slice(0, end + 1).replace(/ ?:$/, '.'), text.slice(end + 2)];
}

const verdict = (form, picture, text, more = '') => h('p', { class: `verdict ${form}`, role: 'status' }, icon(picture), h('span', {}, text, more ? h('small', {}, more) : null));
const buttons = (...list) => h('div', { class: 'buttons' }, list);
const back = (label = 'Retour', form = '') => h('button', { class: `big ${form}`, 'data-key': 'back', onclick: leave }, icon('back'), label);
const retry = () => h('button', { class: 'big primary', 'data-key': 'retry', onclick: again }, icon('sync'), 'Recommencer');
