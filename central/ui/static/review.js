// The review list by keyboard: J and K choose, then C confirms, R refuses, E goes to the corrected quantity. A key never
// answers a question that was not chosen: the list may have changed under the eyes.
const cards = () => [...document.querySelectorAll('.proposal')];
const current = () => document.activeElement?.closest('.proposal');

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches('input, textarea, select')) return;
  const card = current();
  const key = event.key.toLowerCase();
  const act = { c: 'confirm', r: 'refuse' }[key];
  if (!'crejk'.includes(key) || key.length !== 1) return;
  if (!card) cards()[0]?.focus();
  else if (act) card.querySelector(`[data-act="${act}"]`).click();
  else if (key === 'e') card.querySelector('[data-act="correct"]')?.select();
  else cards()[Math.max(0, cards().indexOf(card) + (key === 'j' ? 1 : -1))]?.focus();
  event.preventDefault();
});

// After a decision the next card takes the focus, so that a list is answered without the mouse.
document.body.addEventListener('htmx:afterSwap', (event) => {
  if (event.detail.requestConfig?.verb === 'post' && event.target.id === 'review') cards()[0]?.focus({ preventScroll: true });
});
