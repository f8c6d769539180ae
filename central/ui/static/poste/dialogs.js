// The three questions a post may ask, each a native dialog: the reason of a stop, the parts made, a code.
import { h, icon } from './view.js';

// A scan that arrives while a question is open takes its place.
export function dismiss() {
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.dispatchEvent(new Event('cancel', { cancelable: true }));
}

function open(title, body) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { 'aria-label': title });
    const close = (value) => { dialog.close(); dialog.remove(); resolve(value); };
    dialog.addEventListener('cancel', (event) => { event.preventDefault(); close(null); });
    dialog.append(
      h('header', {}, h('h1', {}, title), h('button', { class: 'plain', type: 'button', 'aria-label': 'Fermer', onclick: () => close(null) }, icon('cross'))),
      body(close));
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector('[autofocus]')?.focus();
  });
}

export const reason = (list) => open('Pourquoi suspendre ?', (close) =>
  h('div', { class: 'choices' }, list.slice(0, 8).map((word) => h('button', { class: 'big', type: 'button', onclick: () => close(word) }, word))));

// `charges`: what was taken and may be for this operation, to be said at the latest now.
export function end(operation, charges = null) {
  const left = operation.quantity ? Math.max(0, operation.quantity - (operation.good ?? 0)) : 0;
  const counted = operation.counted ?? null;
  return open(`Terminer ${operation.code}`, (close) => {
    const good = counter('Bonnes', counted ?? left);
    const scrap = counter('Rebuts', 0);
    const comment = h('textarea', { id: 'comment', rows: 2, maxlength: 500, placeholder: 'Un conseil pour la prochaine fois (facultatif)' });
    const tools = h('input', { type: 'checkbox', id: 'tools' });
    const hint = counted !== null ? `${counted} comptées par la machine.` : left ? `${left} restaient à faire : corrigez si besoin.` : '';
    return h('form', { method: 'dialog', onsubmit: (event) => { event.preventDefault(); close({ good: good.value(), scrap: scrap.value(), comment: comment.value.trim(), tool_change: tools.checked }); } },
      hint ? h('p', { class: 'muted' }, hint) : null,
      charges,
      h('div', { class: 'counters' }, good.element, scrap.element),
      h('label', { class: 'comment', for: 'comment' }, 'Commentaire', comment),
      h('label', { class: 'tick', for: 'tools' }, tools, 'J’ai modifié des outils'),
      h('button', { class: 'big primary', type: 'submit' }, icon('check'), 'Terminer'));
  });
}

export const code = () => open('Taper un code', (close) => {
  const input = h('input', { id: 'code', 'data-code': '1', autofocus: true, autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', placeholder: 'OF118-20' });
  return h('form', { onsubmit: (event) => { event.preventDefault(); close(input.value.trim() || null); } },
    h('label', { for: 'code' }, 'Opération, article ou badge', input),
    h('button', { class: 'big primary', type: 'submit' }, icon('check'), 'Valider'));
});

export const pin = (name) => open(`Code de ${name}`, (close) => {
  const input = h('input', { id: 'pin', type: 'password', inputmode: 'numeric', autofocus: true, autocomplete: 'off', maxlength: 8 });
  return h('form', { onsubmit: (event) => { event.preventDefault(); close(input.value.trim() || null); } },
    h('label', { for: 'pin' }, 'Code personnel', input),
    h('button', { class: 'big primary', type: 'submit' }, icon('check'), 'Valider'));
});

function counter(label, initial) {
  const id = `count-${label.toLowerCase()}`;
  const input = h('input', { id, inputmode: 'numeric', pattern: '[0-9]*', maxlength: 6, value: String(initial), onfocus: () => input.select() });
  const value = () => Math.min(999_999, Math.max(0, Number.parseInt(input.value, 10) || 0));
  const step = (delta) => () => { input.value = String(Math.max(0, value() + delta)); };
  const element = h('div', { class: 'counter' }, h('label', { for: id }, label),
    h('div', {},
      h('button', { type: 'button', class: 'big', 'aria-label': `${label} moins une`, onclick: step(-1) }, '−1'), input,
      h('button', { type: 'button', class: 'big', 'aria-label': `${label} plus une`, onclick: step(1) }, '+1')));
  return { element, value };
}
