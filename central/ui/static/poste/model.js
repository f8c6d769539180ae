// What this post shows: the read copy of the centre, with the facts that the copy cannot know yet applied on top.

const DEFAULT_REASONS = ['Pause', 'Panne machine', 'Attente matière', 'Attente outil', 'Attente contrôle', 'Attente programme', 'Nettoyage', 'Autre'];

export const reasons = (copy) => (copy?.reasons?.length ? copy.reasons : DEFAULT_REASONS);

// Operations with `mine`: null, or {state: 'running'|'paused', phase: 'setup'|'run', since} of this person.
export function operations(copy, facts, person, acked) {
  const list = (copy?.operations ?? []).map((operation) => ({ ...operation, mine: clockingOf(operation, person), waiting: false }));
  const byCode = new Map(list.map((operation) => [operation.code, operation]));
  for (const fact of facts) {
    if (fact.kind !== 'work.clocked') continue;
    const { body } = fact;
    let operation = byCode.get(body.operation);
    if (!operation) {
      operation = { code: body.operation, unknown: true, mine: null, good: 0, scrap: 0, quantity: null };
      byCode.set(body.operation, operation);
      list.push(operation);
    }
    operation.waiting ||= fact.seq > acked;
    if (body.person !== person) continue;
    const since = Date.parse(fact.ts) + (fact.off ?? 0);
    apply(operation, body, since);
  }
  return list;
}

function clockingOf(operation, person) {
  const found = (operation.clockings ?? []).find((clocking) => clocking.person === person);
  return found ? { state: found.state, phase: found.phase, since: Date.parse(found.since), reason: found.reason } : null;
}

function apply(operation, body, since) {
  switch (body.action) {
    case 'start':
      operation.mine = { state: 'running', phase: body.phase ?? 'setup', since };
      operation.status = 'running';
      break;
    case 'pause':
      operation.mine = { ...operation.mine, state: 'paused', reason: body.reason, since };
      break;
    case 'resume':
      operation.mine = { phase: 'run', ...operation.mine, state: 'running', since };
      break;
    case 'first_good':
      operation.mine = { state: 'running', phase: 'run', since };
      break;
    case 'end':
      operation.mine = null;
      operation.good = (operation.good ?? 0) + body.good;
      operation.scrap = (operation.scrap ?? 0) + body.scrap;
      operation.status = operation.good + operation.scrap > 0 && operation.good < operation.quantity ? 'waiting' : 'done';
      break;
    default:
      break;
  }
}

// Réglage first when the gamme foresees one and no good part was made yet.
export function firstPhase(operation) {
  return operation.setup_planned_s > 0 && !operation.good ? 'setup' : 'run';
}

// What a code read at this post means: person, operation, item, place, or unknown. Our own codes are verified, others
// are looked up in the read copy as they are. `bad` is our code with a wrong check character.
export function meaning(candidates, copy, parseCode, BadCheck) {
  let bad = false;
  for (const text of candidates) {
    try {
      const own = parseCode(text);
      if (own) return own.type === 'PE' ? personOf(own.id, text, copy) : { type: { OP: 'operation', IT: 'item', PL: 'place', MA: 'machine', PROG: 'programme' }[own.type], id: own.id, text };
    } catch (error) {
      if (!(error instanceof BadCheck)) throw error;
      bad = true;
    }
  }
  if (bad) return { type: 'bad', text: candidates[0] };
  for (const text of candidates) {
    const known = lookUp(text.trim(), copy);
    if (known) return known;
  }
  return { type: 'unknown', text: candidates[0].trim() };
}

function personOf(id, text, copy) {
  const person = copy?.persons?.find((one) => one.id.toUpperCase() === id || one.badge?.toUpperCase() === id || one.badge?.toUpperCase() === text.toUpperCase());
  return person ? { type: 'person', id: person.id, text } : { type: 'unknown', text };
}

function lookUp(text, copy) {
  const same = (other) => other && other.toUpperCase() === text.toUpperCase();
  const person = copy?.persons?.find((one) => same(one.badge));
  if (person) return { type: 'person', id: person.id, text };
  const operation = copy?.operations?.find((one) => same(one.code) || one.codes?.some(same));
  if (operation) return { type: 'operation', id: operation.code, text };
  const item = copy?.items?.find((one) => same(one.code) || one.codes?.some(same));
  if (item) return { type: 'item', id: item.code, text };
  return null;
}
