// One signal of one machine, drawn by uPlot: the mean as a line, lows and highs as a band behind it.
const holder = document.querySelector('#chart');
const zone = document.documentElement.dataset.zone;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const time = (options) => new Intl.DateTimeFormat('fr-FR', { ...options, timeZone: zone });
const hourMinute = time({ hour: '2-digit', minute: '2-digit' });
const withSeconds = time({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const number = new Intl.NumberFormat('fr-FR', { maximumFractionDigits: 1 });
let plot = null;

function draw({ signal, unit, at, mean, low, high }, minutes) {
  const value = (_, v) => (v === null || v === undefined ? '–' : `${number.format(v)} ${unit === 'percent' ? '%' : unit}`);
  const axis = { stroke: color('--muted'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  const options = {
    width: holder.clientWidth,
    height: 240,
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: true, range: () => [Date.now() / 1000 - minutes * 60, Date.now() / 1000] }, y: { range: (_, min, max) => [Math.min(0, min), Math.max(max * 1.1, 1)] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => hourMinute.format(tick * 1000)) },
      { ...axis, size: 54, values: (_, ticks) => ticks.map((tick) => number.format(tick)) },
    ],
    series: [
      { label: 'Heure', value: (_, v) => (v ? withSeconds.format(v * 1000) : '–') },
      { label: 'Mini', stroke: 'transparent', value, points: { show: false } },
      { label: 'Maxi', stroke: 'transparent', value, points: { show: false } },
      { label: 'Moyenne', stroke: color('--blue'), width: 1.5, value, points: { show: at.length < 3 } },
    ],
    bands: [{ series: [2, 1], fill: `${color('--blue')}33` }],
  };
  plot?.destroy();
  plot = new window.uPlot(options, [at, low, high, mean], holder);
  holder.setAttribute('aria-label', at.length ? `${signal} : dernière valeur ${number.format(mean.at(-1))}` : `${signal} : aucune valeur sur cette durée`);
}

async function refresh() {
  const signal = document.querySelector('#signal').value;
  const minutes = Number(document.querySelector('#span').value);
  try {
    const reply = await fetch(`/api/machines/${encodeURIComponent(holder.dataset.machine)}/series?signal=${encodeURIComponent(signal)}&minutes=${minutes}`);
    if (reply.ok) draw(await reply.json(), minutes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the centre is away: the chip says it, the curve stays
  }
}

if (holder) {
  await refresh();
  document.querySelector('#signal').addEventListener('change', refresh);
  document.querySelector('#span').addEventListener('change', refresh);
  new ResizeObserver(() => plot?.setSize({ width: holder.clientWidth, height: 240 })).observe(holder);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', refresh);
  setInterval(() => { if (!document.hidden) refresh(); }, 2000);
}
