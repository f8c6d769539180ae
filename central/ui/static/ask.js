// Asks the centre to do something. Resolves to its answer, or throws an Error with the French sentence to show (`away`:
// the centre was not reached). What a person may not do (any more) is an ordinary answer marked X-Refused, so that the
// console keeps to real faults.
export async function ask(path, body) {
  const headers = { 'HX-Request': 'true' };
  if (body !== undefined && !(body instanceof URLSearchParams)) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(path, { method: 'POST', headers, body });
  } catch {
    throw Object.assign(new Error('Le centre ne répond pas : rien n’a été enregistré. Recommencez quand il est revenu.'), { away: true });
  }
  if (!reply.ok || reply.headers.has('X-Refused')) throw new Error((await reply.text()).replace('Ce n’est pas possible. ', ''));
  return reply;
}
