// The review list by keyboard: J and K move, C confirms, R refuses, E goes to the corrected quantity.
const cards = () => [...document.querySelectorAll('.proposal')];
const current = () => document.activeElement?.closest('.proposal') ?? cards()[0];

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches('input, textarea, select')) return;
  const card = current();
  if (!card) return;
  const key = event.key.toLowerCase();
  const act = { c: 'confirm', r: 'refuse' }[key];
  if (act) card.querySelector(`[data-act="${act}"]`).click();
  else if (key === 'e') card.querySelector('[data-act="correct"]').select();
  else if (key === 'j' || key === 'k') cards()[Math.max(0, cards().indexOf(card) + (key === 'j' ? 1 : -1))]?.focus();
  else return;
  event.preventDefault();
});

// After a decision the next card takes the focus, so that a list is answered without the mouse.
document.body.addEventListener('htmx:afterSwap', (event) => {
  if (event.detail.requestConfig?.verb === 'post' && event.target.id === 'review') cards()[0]?.focus({ preventScroll: true });
});
