// The PIN of whoever has one, asked when a person takes over the post. Without the centre it cannot be judged: the badge
// is then enough, as for every fact, and the post says so.
import * as dialogs from './dialogs.js';

async function open(post, person, pin) {
  const body = new URLSearchParams({ poste: post, person, pin });
  const reply = await fetch('/api/poste/ouvrir', { method: 'POST', headers: { 'HX-Request': 'true' }, body, signal: AbortSignal.timeout(8000) });
  if (!reply.ok || reply.headers.has('X-Refused')) return { refused: reply.status >= 500 ? 'Le centre n’a pas pu répondre.' : await reply.text() };
  return reply.json();
}

// Resolves to whether the person may take over; `say` shows a sentence with its level.
export async function shown(post, person, name, say) {
  try {
    let answer = await open(post, person, '');
    while (!answer.open) {
      if (answer.refused) say(answer.refused, 'fault');
      const pin = await dialogs.pin(name);
      if (!pin) return false;
      answer = await open(post, person, pin);
    }
    return true;
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== 'TimeoutError') throw error;
    say('Hors ligne : code personnel non demandé.', 'attention');
    return true;
  }
}

export function left(post, person) {
  fetch('/api/poste/quitter', { method: 'POST', headers: { 'HX-Request': 'true' }, body: new URLSearchParams({ poste: post, person }) }).catch(() => {});
}
