// The codes that Copeau prints, `OP:OF118-20:9`: the same check as contracts/codes.py (ISO/IEC 7064 MOD 37,36).
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const TYPES = new Set(['OP', 'IT', 'PL', 'PE', 'MA', 'PROG']);

export class BadCheck extends Error {}

export function check(text) {
  let remainder = 36;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) continue;
    remainder = (remainder + value) % 36 || 36;
    remainder = (remainder * 2) % 37;
  }
  return ALPHABET[(37 - remainder) % 36];
}

export function formatCode(type, id) {
  const upper = id.toUpperCase();
  if (!/^[0-9A-Z\-/._]+$/.test(upper)) throw new RangeError(`lettres, chiffres et - / . _ seulement: ${id}`);
  return `${type}:${upper}:${check(type + upper)}`;
}

// Our own code in `text`, null when it is somebody else's; throws BadCheck when it is ours but misread.
export function parseCode(text) {
  const [type, id, digit, ...rest] = text.trim().toUpperCase().split(':');
  if (rest.length || digit === undefined || !TYPES.has(type) || !id) return null;
  if (digit !== check(type + id)) throw new BadCheck(text);
  return { type, id };
}
