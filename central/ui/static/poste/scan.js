// A USB reader is a fast keyboard that ends with Enter. It is listened to everywhere, on every screen.
const FAST_MS = 40;

// `onCode(candidates)`: what was read, best first. The second candidate is the same keys on a US layout, for a reader
// set to "US" on a French PC.
export function listen(onCode) {
  let typed = '';
  let keys = '';
  let first = 0;
  let last = 0;
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const moment = performance.now();
    if (moment - last > 300) typed = keys = '';
    const field = event.target.closest?.('input, textarea, select');
    if (event.key === 'Enter') {
      const fast = typed.length >= 6 && (moment - first) / typed.length < FAST_MS;
      const isScan = field ? fast && !field.dataset.code : typed.length >= 3;
      if (isScan) {
        event.preventDefault();
        event.stopPropagation();
        if (field && typeof field.value === 'string') field.value = field.value.replace(typed, '');
        onCode([...new Set([typed, keys])]);
      }
      typed = keys = '';
      return;
    }
    if (event.key.length !== 1) return;
    if (event.key === ' ' && !typed) return;
    if (!typed) first = moment;
    last = moment;
    typed += event.key;
    keys += asUs(event) ?? event.key;
    if (!field) event.preventDefault();
  }, { capture: true });
}

function asUs(event) {
  const { code, shiftKey } = event;
  if (code.startsWith('Key')) return shiftKey ? code[3] : code[3].toLowerCase();
  if (code.startsWith('Digit') && !shiftKey) return code[5];
  return { Semicolon: shiftKey ? ':' : ';', Minus: shiftKey ? '_' : '-', Slash: '/', Period: '.' }[code] ?? null;
}
