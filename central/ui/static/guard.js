// What the guard saw around one verdict: the value, the limits it was held to, and the instants that count.
const holder = document.querySelector('#guard-chart');
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const number = new Intl.NumberFormat('fr-FR', { maximumFractionDigits: 2 });
const HEIGHT = 300;
let told = null;
let plot = null;

// Vertical lines with their word, drawn over the curve; words that would overlap go one line lower.
function marks({ commanded, stopped }) {
  const found = [[0, 'verdict', '--red']];
  if (commanded !== null) found.push([commanded, 'arrêt commandé', '--blue']);
  if (stopped !== null) found.push([stopped, 'vitesse nulle', '--green']);
  return found;
}

function drawMarks(u) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  ctx.lineWidth = 1.5 * ratio;
  ctx.setLineDash([]);
  marks(told).forEach(([at, word, name], row) => {
    const x = u.valToPos(at, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = ctx.fillStyle = color(name);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const atRight = x + ctx.measureText(word).width + 8 * ratio > bbox.left + bbox.width;
    ctx.textAlign = atRight ? 'right' : 'left';
    ctx.fillText(word, x + (atRight ? -5 : 5) * ratio, bbox.top + (14 + 16 * row) * ratio);
  });
  ctx.restore();
}

function draw() {
  const { signal, unit, at, value, low, high } = told;
  const say = (_, v) => (v === null || v === undefined ? '–' : `${number.format(v)} ${unit}`);
  const axis = { stroke: color('--muted'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  const series = [
    { label: 'Instant', value: (_, v) => (v === null || v === undefined ? '–' : `${number.format(v)} s`) },
    { label: signal, stroke: color('--blue'), width: 2, value: say, points: { show: at.length < 80, size: 5 } },
  ];
  const data = [at, value];
  for (const [limit, label] of [[high, 'Limite haute'], [low, 'Limite basse']]) {
    if (!limit) continue;
    series.push({ label, stroke: color('--red'), width: 1.5, dash: [6, 4], value: say, points: { show: false } });
    data.push(limit);
  }
  plot?.destroy();
  plot = new window.uPlot({
    width: holder.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { range: (_, min, max) => [Math.min(0, min), Math.max(max * 1.15, 1)] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => `${number.format(tick).replace('-', '−')} s`) },
      { ...axis, size: 54, values: (_, ticks) => ticks.map((tick) => number.format(tick)) },
    ],
    series,
    hooks: { draw: [drawMarks] },
  }, data, holder);
  holder.dataset.points = at.length;
  holder.setAttribute('aria-label', `${signal} autour du verdict, ${at.length} mesures, limite ${number.format(told.limit)} ${unit}`);
}

const reply = await fetch(holder.dataset.source);
if (reply.ok) {
  told = await reply.json();
  if (told.at.length) draw();
  else holder.textContent = 'Aucune mesure n’accompagne ce verdict.';
  new ResizeObserver(() => plot?.setSize({ width: holder.clientWidth, height: HEIGHT })).observe(holder);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { if (plot) draw(); });
}
