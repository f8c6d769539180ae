// Teaching a rack: a still picture, the places on it, what belongs in each, and one button that gives it to the camera.
// Every scan goes to the chosen place and the next one is chosen: a tray is taught at the pace of the reader.
import { ask } from '../ask.js';
import { listen } from '../poste/scan.js';
import { h, icon } from '../poste/view.js';
import { Canvas } from './canvas.js';
import { Teaching, parseList } from './document.js';

const root = document.querySelector('#teach');
const base = root.dataset.base;
const leastPx = Number(root.dataset.leastPx);
const $ = (selector) => root.querySelector(selector);
const number = new Intl.NumberFormat('fr-FR', { maximumFractionDigits: 0 });
const KINDS = [
  ['countable', 'Comptable', 'scale', 'Les articles sont posés à part : la caméra les compte.'],
  ['presence', 'Présence seule', 'check', 'Là ou pas là : bout de barre, boîte, instrument.'],
  ['hidden', 'Non visible', 'silent', 'Tas, boîte à couvercle : la caméra demande « combien ? ».'],
];

const loaded = await (await fetch(`${base}/description.json`, { cache: 'no-store' })).json();
const labels = new Map(Object.entries(loaded.labels));
const teaching = new Teaching(loaded.description);
for (const slot of teaching.slots) Object.assign(slot, { kind: slot.kind ?? 'countable', item: slot.item ?? '', label: labels.get(slot.item) ?? '', known: !slot.item || labels.has(slot.item) });
teaching.saved();
let picture = null;
let mergeFrom = null;
let several = false;

const canvas = new Canvas($('#plan'), teaching, {
  onSelect(id, more) {
    if (!id) canvas.selected = several ? canvas.selected : [];
    else if (more || several) canvas.selected = canvas.selected.includes(id) ? canvas.selected.filter((one) => one !== id) : [...canvas.selected, id];
    else canvas.selected = [id];
    render();
    if (id && canvas.selected.length === 1 && matchMedia('(pointer: fine)').matches) $('#slot-item')?.select();
  },
  onQuad: () => render(),
  onPolygon(polygon) {
    const slot = teaching.addPolygon(polygon);
    use('select');
    canvas.selected = [slot.id];
    render();
  },
  onMeasure(px, id) {
    teaching.measured(px, id);
    if (px < leastPx) say(`Un article fait ${number.format(px)} px ici : trop petit pour compter. Approchez la caméra, ou passez ces cases en « présence seule ».`, 'attention');
    else say(`Un article fait ${number.format(px)} px : la caméra peut compter.`);
    use('select');
  },
  onMerge(id) {
    if (id === mergeFrom) return;
    teaching.merge(mergeFrom, id);
    canvas.selected = [mergeFrom];
    say(`${id} est maintenant dans ${mergeFrom}.`);
    use('select');
  },
});
teaching.onChange = () => {
  canvas.selected = canvas.selected.filter((id) => teaching.get(id));
  render();
};

function use(tool) {
  canvas.use(tool);
  for (const button of root.querySelectorAll('[data-tool]')) button.setAttribute('aria-pressed', String(button.dataset.tool === tool));
  render();
}

function say(text, form = 'normal') {
  const region = $('#said');
  region.className = `said ${form}`;
  region.replaceChildren(icon({ normal: 'check', attention: 'attention', fault: 'alarm', action: 'sync' }[form]), h('span', {}, text));
}

// --- talking with the centre ---------------------------------------------------------------------------------------

const post = async (path, body) => (await ask(`${base}/${path}`, body)).json();

async function attempt(act) {
  try {
    await act();
  } catch (problem) {
    say(problem.message, 'fault');
  }
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The newest picture that the centre has; null when it has none.
async function fetchPicture() {
  const reply = await fetch(`${base}/image.jpg?pour=apprendre`, { cache: 'no-store' });
  if (reply.status !== 200) return null;
  const blob = await reply.blob();
  const bitmap = await createImageBitmap(blob);
  return { blob, taken: Number(reply.headers.get('X-Taken')), size: [bitmap.width, bitmap.height] };
}

function freeze(found) {
  if (picture) URL.revokeObjectURL(picture.address);
  picture = { ...found, address: URL.createObjectURL(found.blob) };
  $('#frozen').hidden = false;
  $('#no-picture').hidden = true;
  $('#frozen').replaceChildren('Image prise à ', new Date(picture.taken * 1000).toLocaleTimeString('fr-FR', { timeZone: document.documentElement.dataset.zone }));
  const taught = teaching.base?.picture;
  if (taught && (taught[0] !== picture.size[0] || taught[1] !== picture.size[1])) {
    say(`La caméra donne ${picture.size.join(' × ')} px, les cases ont été apprises sur ${taught.join(' × ')} px : vérifiez-les avant d’enregistrer.`, 'attention');
  }
  canvas.show(picture.address, picture.size);
  render();
}

async function photo() {
  const before = picture?.taken ?? (await fetchPicture())?.taken ?? 0;
  say('La caméra prend une image…', 'action');
  await post('photo');
  for (let turn = 0; turn < 40; turn += 1) {
    await pause(500);
    const found = await fetchPicture();
    if (found && found.taken > before) {
      freeze(found);
      return say('Image fixe : posez les cases dessus.');
    }
  }
  return say('La carte du rayonnage n’a pas répondu. Est-elle allumée ? La page Agents le dit.', 'attention');
}

// --- what is in the places -----------------------------------------------------------------------------------------

async function assign(lines) {
  const from = canvas.selected.length === 1 ? canvas.selected[0] : null;
  const order = canvas.selected.length > 1 ? teaching.inOrder().filter((slot) => canvas.selected.includes(slot.id)) : teaching.inOrder();
  const start = from ? order.findIndex((slot) => slot.id === from) : 0;
  const { items } = await post('articles', { codes: lines.map((line) => line.code).filter(Boolean) });
  const unknown = new Set();
  let placed = 0;
  teaching.step(() => {
    lines.forEach((line, index) => {
      const slot = line.slot ? teaching.get(line.slot) : order[start + index];
      if (!slot) return;
      const found = items[line.code];
      if (!found && line.code) unknown.add(line.code);
      Object.assign(slot, { item: found?.code ?? line.code, label: found?.label ?? '', known: Boolean(found) || !line.code }, found ? { class: found.item_class } : {}, line.count === undefined ? {} : { count: line.count });
      placed += 1;
    });
  });
  if (unknown.size) say(`${placed} cases remplies. Inconnus du stock : ${[...unknown].slice(0, 5).join(', ')}${unknown.size > 5 ? '…' : ''}. Rien n’y sera débité tant que l’article n’existe pas.`, 'attention');
  else say(`${placed} cases remplies${placed < lines.length ? ` ; ${lines.length - placed} lignes de trop` : ''}.`, placed < lines.length ? 'attention' : 'normal');
}

// What is asked at the centre comes one after the other: a scan, a typed code, then "Enregistrer".
let turn = Promise.resolve();
function inTurn(act) {
  turn = turn.then(() => attempt(act));
}
listen((candidates) => inTurn(() => scanned(candidates)));

async function scanned(candidates) {
  const order = teaching.inOrder();
  const slot = order.find((one) => one.id === canvas.selected[0]) ?? order.find((one) => !one.item);
  if (!slot) return say('Toutes les cases ont leur article : touchez celle à changer, puis scannez.', 'attention');
  const { items } = await post('articles', { codes: candidates });
  const code = candidates.find((one) => items[one]);
  if (!code) return say(`${candidates[0]} n’est pas un article connu : la case ${slot.id} attend.`, 'fault');
  const found = items[code];
  teaching.set([slot.id], { item: found.code, label: found.label, class: found.item_class, known: true });
  const next = order[order.indexOf(slot) + 1];
  canvas.selected = next ? [next.id] : [];
  render();
  navigator.vibrate?.(30);
  return say(next ? `${slot.id} : ${found.label || found.code}. Scannez la case ${next.id}.` : `${slot.id} : ${found.label || found.code}. C’était la dernière case.`);
}

// --- panels --------------------------------------------------------------------------------------------------------

const small = (slot) => slot.kind === 'countable' && slot.px_per_item && slot.px_per_item < leastPx;
const unmeasured = (slot) => slot.kind === 'countable' && !slot.px_per_item;

function kinds(ids) {
  const chosen = new Set(ids.map((id) => teaching.get(id).kind));
  return h('div', { class: 'segmented', role: 'group', 'aria-label': 'Ce que la caméra peut dire' }, KINDS.map(([kind, word, its, why]) =>
    h('button', { type: 'button', class: 'button', 'aria-pressed': String(chosen.size === 1 && chosen.has(kind)), title: why, onclick: () => teaching.set(ids, { kind }) }, icon(its), word)));
}

function pxLine(slot) {
  if (slot.kind !== 'countable') return h('p', { class: 'small muted' }, icon('info'), ' Pas de taille à mesurer : rien n’y est compté.');
  if (!slot.px_per_item) return h('p', { class: 'small refused' }, icon('attention'), ' Taille d’un article : pas encore mesurée.');
  const fits = slot.px_per_item >= leastPx;
  return h('p', { class: fits ? 'small' : 'small refused' }, icon(fits ? 'check' : 'attention'),
    ` Un article fait ${number.format(slot.px_per_item)} px (il en faut ${number.format(leastPx)}). ${fits ? '' : 'Passez la case en « présence seule », ou approchez la caméra.'}`);
}

function onePanel(slot) {
  const item = h('input', { class: 'text', id: 'slot-item', value: slot.item, list: 'known-items', autocomplete: 'off', maxlength: 120, placeholder: 'Scannez, ou tapez le code',
    onchange: () => inTurn(async () => {
      const code = item.value.trim();
      const { items } = code ? await post('articles', { codes: [code] }) : { items: {} };
      const found = items[code];
      teaching.set([slot.id], { item: found?.code ?? code, label: found?.label ?? '', known: Boolean(found) || !code, ...(found ? { class: found.item_class } : {}) });
      if (code && !found) say(`${code} n’est pas un article du stock : rien n’y sera débité tant qu’il n’existe pas.`, 'attention');
    }) });
  const name = h('input', { class: 'text', id: 'slot-name', value: slot.id, maxlength: 32, autocomplete: 'off',
    onchange: () => {
      const wanted = name.value.trim();
      const why = teaching.rename(slot.id, wanted);
      if (why) say(why, 'fault');
      else canvas.selected = [wanted];
      render();
    } });
  const count = h('input', { class: 'number', id: 'slot-count', inputmode: 'numeric', maxlength: 4, value: slot.count ?? '', placeholder: '?', autocomplete: 'off',
    onchange: () => {
      const text = count.value.trim();
      if (text && !/^\d{1,3}$|^1000$/.test(text)) return say(`« ${text} » n’est pas un nombre de pièces (0 à 1000).`, 'fault');
      return teaching.set([slot.id], { count: text ? Number(text) : undefined });
    } });
  return [
    h('header', {}, h('h2', {}, `Case ${slot.id}`), slot.known === false ? h('span', { class: 'badge attention' }, icon('attention'), 'inconnu du stock') : null),
    h('div', { class: 'body stack tight' },
      h('label', { class: 'above' }, 'Article', item),
      slot.label ? h('p', { class: 'small muted' }, slot.label) : null,
      kinds([slot.id]),
      pxLine(slot),
      h('div', { class: 'fields' }, h('label', {}, 'Nom de la case', name), h('label', {}, 'Pièces dedans maintenant', count)),
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'button', onclick: () => { mergeFrom = slot.id; use('merge'); say(`Touchez la case à réunir avec ${slot.id}.`, 'action'); } }, icon('link'), 'Fusionner avec…'),
        h('button', { type: 'button', class: 'button', onclick: () => { teaching.remove([slot.id]); say(`Case ${slot.id} supprimée. « Annuler » la rend.`); } }, icon('cross'), 'Supprimer'))),
  ];
}

function manyPanel(ids) {
  return [
    h('header', {}, h('h2', {}, `${ids.length} cases choisies`)),
    h('div', { class: 'body stack tight' }, kinds(ids),
      h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button', onclick: () => teaching.remove(ids) }, icon('cross'), 'Supprimer'))),
  ];
}

function gridPanel() {
  const stepper = (label, key) => {
    const input = h('input', { class: 'number', id: `grid-${key}`, inputmode: 'numeric', maxlength: 2, value: canvas[key], autocomplete: 'off', onfocus: () => input.select(),
      oninput: () => {
        canvas[key] = Math.min(26, Math.max(1, Number.parseInt(input.value, 10) || 1));
        canvas.draw();
        $('#place-grid').replaceChildren(icon('check'), placeWord());
      } });
    return h('label', {}, label, input);
  };
  const placeWord = () => `Poser ${canvas.rows * canvas.columns} cases`;
  return [
    h('header', {}, h('h2', {}, 'Grille')),
    h('div', { class: 'body stack tight' },
      h('p', { class: 'muted' }, canvas.quad ? 'Tirez les quatre coins sur ceux du casier : la perspective suit.' : 'Tirez un rectangle sur le casier, d’un coin à l’autre.'),
      h('div', { class: 'fields' }, stepper('Rangées', 'rows'), stepper('Colonnes', 'columns')),
      h('button', { type: 'button', class: 'button primary', id: 'place-grid', disabled: !canvas.quad, onclick: () => {
        const added = teaching.addGrid(canvas.cells);
        say(`${added.length} cases posées, de ${added[0].id} à ${added.at(-1).id}. Mesurez maintenant un article.`);
        use('measure');
      } }, icon('check'), placeWord())),
  ];
}

const HELP = {
  polygon: ['Case à la main', 'Touchez chaque coin de la case, puis de nouveau le premier (ou « Fermer »).'],
  measure: ['Mesurer un article', 'Tirez d’un bord à l’autre d’un article, dans sa petite largeur. Une mesure vaut pour toute la grille.'],
  merge: ['Fusionner', 'Touchez la deuxième case.'],
};

function panel() {
  if (canvas.tool === 'grid') return gridPanel();
  if (HELP[canvas.tool]) {
    const [title, text] = HELP[canvas.tool];
    return [h('header', {}, h('h2', {}, title)), h('div', { class: 'body stack tight' }, h('p', { class: 'muted' }, text),
      canvas.tool === 'polygon' ? h('button', { type: 'button', class: 'button primary', onclick: () => canvas.closePolygon() }, icon('check'), 'Fermer la case') : null)];
  }
  const ids = canvas.selected;
  if (ids.length > 1) return manyPanel(ids);
  if (ids.length === 1) return onePanel(teaching.get(ids[0]));
  return [h('header', {}, h('h2', {}, 'Une case')), h('p', { class: 'empty' }, teaching.slots.length ? 'Touchez une case pour la changer. Les autres ne bougent pas.' : 'Commencez par « Grille » ou « Case à la main ».')];
}

function dirty() {
  const { added, removed, changed } = teaching.difference();
  return added.length + removed.length + changed.length > 0;
}

function summary() {
  const { added, removed, changed, same } = teaching.difference();
  const bare = teaching.slots.filter((slot) => !slot.item);
  const tiny = teaching.slots.filter(small);
  const problem = obstacle();
  const words = [[added, 'ajoutée'], [changed, 'changée'], [removed, 'supprimée']].filter(([list]) => list.length)
    .map(([list, word]) => `${list.length} ${word}${list.length > 1 ? 's' : ''}`);
  return [
    h('p', { class: 'what' }, words.length ? `${words.join(', ')} ; ${same} inchangées` : `${same} cases, rien à enregistrer`),
    bare.length ? h('p', { class: 'small muted' }, icon('info'), ` ${bare.length} cases sans article : ${bare.slice(0, 8).map((slot) => slot.id).join(', ')}${bare.length > 8 ? '…' : ''}`) : null,
    problem ? h('p', { class: 'small refused' }, icon('attention'), ` ${problem}`) : null,
    problem && tiny.length ? h('button', { type: 'button', class: 'button', onclick: () => teaching.set(tiny.map((slot) => slot.id), { kind: 'presence' }) }, icon('check'), 'Les passer en présence seule') : null,
  ];
}

function obstacle() {
  const tiny = teaching.slots.filter(small);
  const blind = teaching.slots.filter(unmeasured);
  if (!teaching.slots.length) return 'Posez au moins une case.';
  if (tiny.length) return `${tiny.length} cases comptables sont trop petites (il faut ${number.format(leastPx)} px par article) : ${tiny.slice(0, 6).map((slot) => slot.id).join(', ')}. Passez-les en « présence seule », ou approchez la caméra.`;
  if (blind.length) return `Mesurez un article : ${blind.length} cases comptables n’ont pas de taille.`;
  return null;
}

async function save() {
  const why = obstacle();
  if (why) return say(why, 'fault');
  if (!dirty()) return say('Rien n’a changé.', 'action');
  say('Envoi…', 'action');
  const told = await post('apprendre', { description: teaching.description(picture?.size), base: loaded.version });
  loaded.version = told.version;
  teaching.base = { ...teaching.base, picture: picture?.size ?? teaching.base?.picture };
  teaching.saved();
  window.htmx.trigger('#versions', 'live');
  return say(told.message);
}

function places() {
  return teaching.inOrder().map((slot) => h('li', {}, h('button', { type: 'button', class: canvas.selected.includes(slot.id) ? 'chosen' : '', onclick: () => { use('select'); canvas.selected = [slot.id]; render(); } },
    h('b', { class: 'code' }, slot.id), h('span', {}, slot.label || slot.item || '–'), h('small', { class: small(slot) || unmeasured(slot) ? 'refused' : 'muted' },
      slot.kind === 'countable' ? (slot.px_per_item ? `${number.format(slot.px_per_item)} px` : '? px') : KINDS.find(([kind]) => kind === slot.kind)[1]))));
}

// A button that is being pressed stays where it is: what a field's change redraws waits for the finger to leave.
let pressed = false;
let stale = false;
addEventListener('pointerdown', () => { pressed = true; }, { capture: true });
for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => setTimeout(() => {
  pressed = false;
  if (stale) render();
}), { capture: true });

function render() {
  stale = pressed;
  if (pressed) return;
  const held = document.activeElement?.id;
  $('#panel').replaceChildren(...panel().filter(Boolean));
  $('#summary').replaceChildren(...summary().filter(Boolean));
  $('#places').replaceChildren(...places());
  $('#undo').disabled = !teaching.canUndo;
  $('#all').disabled = !teaching.slots.length;
  canvas.draw();
  if (held) document.getElementById(held)?.focus();
}

// --- start ---------------------------------------------------------------------------------------------------------

for (const button of root.querySelectorAll('[data-tool]')) button.addEventListener('click', () => use(canvas.tool === button.dataset.tool ? 'select' : button.dataset.tool));
$('#photo').addEventListener('click', () => attempt(photo));
$('#save').addEventListener('click', () => inTurn(save));
$('#undo').addEventListener('click', () => teaching.undo());
$('#all').addEventListener('click', () => { use('select'); canvas.selected = teaching.slots.map((slot) => slot.id); render(); });
$('#several').addEventListener('click', (event) => { several = !several; event.currentTarget.setAttribute('aria-pressed', String(several)); });
for (const button of root.querySelectorAll('[data-zoom]')) button.addEventListener('click', () => {
  const now = Number($('#plan').dataset.zoom ?? 1);
  const zoom = Math.min(4, Math.max(1, now * Number(button.dataset.zoom)));
  $('#plan').dataset.zoom = String(zoom);
  $('#plan').style.width = `${zoom * 100}%`;
  canvas.draw();
});
$('#assign').addEventListener('click', () => inTurn(async () => {
  const lines = parseList($('#list').value, new Set(teaching.slots.map((slot) => slot.id)));
  if (!lines.length) return say('La liste est vide : un code d’article par ligne, dans l’ordre des cases.', 'attention');
  if (!teaching.slots.length) return say('Posez d’abord les cases.', 'attention');
  return assign(lines);
}));
$('#file').addEventListener('change', (event) => attempt(async () => {
  const [file] = event.target.files;
  if (!file) return;
  if (file.size > 200_000) throw new Error('Ce fichier est trop gros pour une liste de cases (200 ko au plus).');
  $('#list').value = await file.text();
  say(`${file.name} est dans la liste : vérifiez, puis « Affecter dans l’ordre ».`);
}));
document.addEventListener('keydown', (event) => {
  if (event.target.matches('input, textarea, select')) return;
  if ((event.ctrlKey || event.metaKey) && event.key === 'z') teaching.undo();
  else if (event.key === 'Delete' && canvas.selected.length) teaching.remove(canvas.selected);
  else if (event.key === 'Escape') { canvas.selected = []; use('select'); }
  else return;
  event.preventDefault();
});
addEventListener('beforeunload', (event) => { if (dirty()) event.preventDefault(); });
addEventListener('resize', () => canvas.draw());

const first = await fetchPicture();
if (first) freeze(first);
else {
  canvas.show(null, teaching.base?.picture ?? [1920, 1080]);
  $('#no-picture').hidden = false;
}
use(teaching.slots.length ? 'select' : 'grid');
root.dataset.ready = 'oui';
