// The rack's own screen: what was just believed stands for twenty seconds, then it goes quiet. A question that somebody
// is answering stays, and so does what was typed.
const screen = () => document.querySelector('#ecran');
const trouble = document.querySelector('#trouble');
const KEEP_MS = 60_000;
const drift = Number(document.documentElement.dataset.now) - Date.now();
let touched = 0;

function settle() {
  const main = screen();
  const shown = main?.querySelector('[data-fresh]');
  if (!main) return;
  const now = Date.now() + drift;
  const age = shown?.dataset.fresh ? now - Number(shown.dataset.fresh) : 0;
  const keep = shown && 'keep' in shown.dataset;
  if (keep && !main.dataset.shown) main.dataset.shown = String(Date.now());
  const still = keep ? Date.now() - Math.max(touched, Number(main.dataset.shown)) < KEEP_MS : shown && age < Number(main.dataset.freshMs);
  main.classList.toggle('fresh', Boolean(still));
}

document.addEventListener('click', (event) => {
  const key = event.target.closest('button');
  if (!key) return;
  touched = Date.now();
  if ('later' in key.dataset) {
    touched = 0;
    screen().dataset.shown = '1';
    window.htmx.ajax('GET', screen().getAttribute('hx-get'), { target: '#ecran', swap: 'outerHTML' });
    return;
  }
  const form = key.closest('.keypad');
  if (!form) return;
  const field = form.querySelector('[data-number]');
  if (key.dataset.digit) {
    field.value = key.dataset.digit === 'back' ? field.value.slice(0, -1) : (field.value + key.dataset.digit).slice(0, 4);
    form.querySelector('[data-number-shown]').textContent = field.value || '?';
  } else if (key.dataset.way) {
    form.elements.way.value = key.dataset.way;
    for (const one of form.querySelectorAll('[data-way]')) one.setAttribute('aria-pressed', String(one === key));
  }
});

document.body.addEventListener('htmx:beforeRequest', (event) => {
  trouble.hidden = true;
  const form = event.target.closest?.('.keypad');
  if (form && !form.querySelector('[data-number]').value) {
    event.preventDefault();
    form.querySelector('[data-number-shown]').textContent = 'Combien ?';
  }
  // What happens elsewhere does not take the keys away from under a finger.
  if (event.detail.requestConfig.verb === 'get' && event.target.id === 'ecran' && screen().querySelector('.question') && Date.now() - touched < 15_000 && touched) event.preventDefault();
});
document.body.addEventListener('htmx:responseError', (event) => say(event.detail.xhr.responseText));
document.body.addEventListener('htmx:sendError', () => say('Le centre ne répond pas : rien n’a été enregistré. Recommencez.'));
function say(text) {
  trouble.textContent = text;
  trouble.hidden = false;
  setTimeout(() => { trouble.hidden = true; }, 8000);
}
document.body.addEventListener('htmx:afterSwap', settle);
setInterval(settle, 500);
settle();
document.documentElement.dataset.ready = 'oui';
