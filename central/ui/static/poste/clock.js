// The centre's time as this page knows it. Anchored to the page's monotonic clock, so that a PC whose wall clock is
// corrected in mid-operation changes nothing (Cristian, 1989: half the round trip is the one-way delay).
export const run = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, '0')).join('');

let anchor = null;
let hidden = false;
document.addEventListener('visibilitychange', () => { hidden = true; });

export async function measure() {
  const sent = performance.now();
  const reply = await fetch('/api/time', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  const { now } = await reply.json();
  const received = performance.now();
  hidden = false;
  anchor = { centre: Date.parse(now) + (received - sent) / 2, mono: received, wall: Date.now() };
}

// Milliseconds to add to this PC's wall clock to get the centre's; null when it was never compared in this page load.
export function offset() {
  if (!anchor) return null;
  const byMonotonic = anchor.centre + (performance.now() - anchor.mono) - Date.now();
  const byWall = anchor.centre - anchor.wall;
  // A tablet that slept stops its monotonic clock: the wall ran ahead while the page was hidden.
  const slept = hidden && byWall - byMonotonic > 2000;
  return Math.round(slept ? byWall : byMonotonic);
}

export const stamp = () => ({ ts: new Date().toISOString(), run, mono: Math.round(performance.now()), off: offset() });

// Best known present time, in milliseconds since 1970.
export const now = () => Date.now() + (offset() ?? 0);
