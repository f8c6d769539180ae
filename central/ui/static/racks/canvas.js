// The picture with the places drawn over it, and what a finger, a mouse or a pen does on it.
import { contains, grid, middle, project, rectangle, rounded } from './geometry.js';

const SVG = 'http://www.w3.org/2000/svg';
const GRIP_PX = 24;
// A finger covers this much of the screen around a grip.

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const points = (polygon) => polygon.map((point) => point.join(',')).join(' ');

// `teaching`: the places. `told`: onSelect(id, several), onQuad(quad), onPolygon(polygon), onMeasure(px, id), onMerge(id).
export class Canvas {
  constructor(element, teaching, told) {
    Object.assign(this, { element, teaching, told, tool: 'select', quad: null, rows: 4, columns: 6, drawing: [], selected: [], line: null });
    this.size = [1920, 1080];
    this.picture = svg('image', { width: 1920, height: 1080, preserveAspectRatio: 'none' });
    this.layer = svg('g');
    element.append(this.picture, this.layer);
    element.addEventListener('pointerdown', (event) => this.#down(event));
    element.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) element.addEventListener(name, (event) => this.#up(event));
  }

  show(address, [width, height]) {
    this.size = [width, height];
    this.element.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.picture.setAttribute('width', width);
    this.picture.setAttribute('height', height);
    if (address) this.picture.setAttribute('href', address);
    this.draw();
  }

  use(tool) {
    this.tool = tool;
    this.drawing = [];
    this.line = null;
    if (tool !== 'grid') this.quad = null;
    this.element.dataset.tool = tool;
    this.draw();
  }

  get scale() {
    return this.element.getBoundingClientRect().width / this.size[0] || 1;
  }

  #at(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.element.getScreenCTM().inverse());
    return rounded([Math.min(this.size[0], Math.max(0, at.x)), Math.min(this.size[1], Math.max(0, at.y))]);
  }

  // The corner under the finger, of what can be dragged now.
  #grip(at) {
    const near = (polygon) => polygon.findIndex(([x, y]) => Math.hypot(x - at[0], y - at[1]) * this.scale < GRIP_PX);
    if (this.tool === 'grid' && this.quad) {
      const index = near(this.quad);
      return index < 0 ? null : { polygon: this.quad, index };
    }
    if (this.tool === 'select' && this.selected.length === 1) {
      const slot = this.teaching.get(this.selected[0]);
      const index = slot ? near(slot.polygon) : -1;
      return index < 0 ? null : { slot, polygon: slot.polygon.map((point) => [...point]), index };
    }
    return null;
  }

  #slotAt(at) {
    const found = this.teaching.slots.filter((slot) => contains(slot.polygon, at));
    return found.at(-1)?.id ?? null;
  }

  #down(event) {
    if (event.button) return;
    const at = this.#at(event);
    const grip = this.#grip(at);
    this.held = grip ? { ...grip, from: at } : { from: at };
    if (grip || this.tool === 'grid' || this.tool === 'measure') {
      this.element.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  }

  #move(event) {
    if (!this.held) return;
    const at = this.#at(event);
    const moved = Math.hypot(at[0] - this.held.from[0], at[1] - this.held.from[1]) * this.scale > 5;
    if (!moved && !this.held.moved) return;
    this.held.moved = true;
    if (this.held.polygon) this.held.polygon[this.held.index] = at;
    else if (this.tool === 'grid' && !this.quad) this.held.quad = rectangle(this.held.from, at);
    else if (this.tool === 'measure') this.line = [this.held.from, at];
    this.draw();
  }

  #up(event) {
    const { held } = this;
    this.held = null;
    if (!held || event.type === 'pointercancel') return this.draw();
    if (held.moved) {
      if (held.slot) this.teaching.set([held.slot.id], { polygon: held.polygon });
      else if (held.quad) this.told.onQuad((this.quad = held.quad));
      else if (this.tool === 'measure' && this.line) {
        const [[x0, y0], [x1, y1]] = this.line;
        this.told.onMeasure(Math.hypot(x1 - x0, y1 - y0), this.#slotAt([(x0 + x1) / 2, (y0 + y1) / 2]));
        this.line = null;
      }
    } else this.#tapped(held.from, event);
    return this.draw();
  }

  #tapped(at, event) {
    const id = this.#slotAt(at);
    if (this.tool === 'polygon') {
      const [first] = this.drawing;
      const closes = first && this.drawing.length > 2 && Math.hypot(first[0] - at[0], first[1] - at[1]) * this.scale < GRIP_PX;
      if (closes) this.told.onPolygon(this.drawing.splice(0));
      else this.drawing.push(at);
    } else if (this.tool === 'merge') {
      if (id) this.told.onMerge(id);
    } else if (this.tool === 'select') this.told.onSelect(id, event.shiftKey || event.ctrlKey || event.metaKey);
  }

  closePolygon() {
    if (this.drawing.length > 2) this.told.onPolygon(this.drawing.splice(0));
    this.draw();
  }

  draw() {
    const unit = 1 / this.scale;
    const parts = this.teaching.slots.map((slot) => this.#slot(slot, unit));
    if (this.tool === 'grid') parts.push(...this.#gridLines(unit));
    if (this.drawing.length) {
      parts.push(svg('polyline', { class: 'drawing', points: points(this.drawing) }));
      parts.push(...this.drawing.map((point, index) => this.#dot(point, unit, index ? '' : 'first')));
    }
    if (this.line) parts.push(svg('line', { class: 'measure', x1: this.line[0][0], y1: this.line[0][1], x2: this.line[1][0], y2: this.line[1][1] }));
    if (this.tool === 'select' && this.selected.length === 1) {
      const slot = this.teaching.get(this.selected[0]);
      const polygon = this.held?.slot === slot && this.held?.polygon ? this.held.polygon : slot?.polygon;
      parts.push(...(polygon ?? []).map((point) => this.#dot(point, unit)));
    }
    this.layer.replaceChildren(...parts);
  }

  #slot(slot, unit) {
    const polygon = this.held?.slot === slot && this.held.polygon ? this.held.polygon : slot.polygon;
    const [x, y] = middle(polygon);
    const chosen = this.selected.includes(slot.id);
    const width = Math.max(...polygon.map(([px]) => px)) - Math.min(...polygon.map(([px]) => px));
    const size = Math.min(16 * unit, width / 2.2);
    return svg('g', { class: `slot ${slot.kind}${chosen ? ' chosen' : ''}${slot.item ? '' : ' bare'}`, 'data-slot': slot.id },
      svg('polygon', { points: points(polygon) }),
      svg('text', { x, y: y + size * 0.35, 'font-size': size }, slot.id));
  }

  #gridLines() {
    const quad = this.held?.quad ?? (this.held?.polygon && this.quad ? this.held.polygon : this.quad);
    if (!quad) return [];
    const at = project(quad);
    const across = Array.from({ length: this.rows + 1 }, (_, row) => [at(0, row / this.rows), at(1, row / this.rows)]);
    const down = Array.from({ length: this.columns + 1 }, (_, column) => [at(column / this.columns, 0), at(column / this.columns, 1)]);
    const lines = [...across, ...down].map(([[x1, y1], [x2, y2]]) => svg('line', { class: 'gridline', x1, y1, x2, y2 }));
    return [...lines, ...quad.map((point) => this.#dot(point, 1 / this.scale))];
  }

  #dot([cx, cy], unit, kind = '') {
    return svg('circle', { class: `dot ${kind}`, cx, cy, r: 9 * unit });
  }

  get cells() {
    return this.quad ? grid(this.quad, this.rows, this.columns) : [];
  }
}
