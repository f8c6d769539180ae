// What is being taught: the places, each change as a step that can be taken back, and what differs from what was loaded.
import { area, hull, middle } from './geometry.js';

const letters = (index) => (index < 26 ? '' : letters(Math.floor(index / 26) - 1)) + String.fromCharCode(65 + (index % 26));
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;

export class Teaching {
  #past = [];

  constructor(description) {
    this.base = description;
    this.slots = (description?.slots ?? []).map((slot) => ({ ...slot }));
    this.measure = null;
    this.#loaded = JSON.stringify(this.slots);
    this.onChange = () => {};
  }

  #loaded;

  get(id) {
    return this.slots.find((slot) => slot.id === id);
  }

  step(change) {
    this.#past.push(JSON.stringify([this.slots, this.measure]));
    if (this.#past.length > 100) this.#past.shift();
    change();
    this.onChange();
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  undo() {
    if (!this.canUndo) return;
    [this.slots, this.measure] = JSON.parse(this.#past.pop());
    this.onChange();
  }

  // A1…A8, B1…: the first rows that are free, so that a second grid goes on after the first.
  addGrid(cells) {
    const used = new Set(this.slots.map((slot) => slot.id));
    let shift = 0;
    while (cells.some(({ row, column }) => used.has(`${letters(row + shift)}${column + 1}`))) shift += 1;
    const group = `${letters(shift)}${Date.now()}`;
    const added = cells.map(({ row, column, polygon }) => this.#made(`${letters(row + shift)}${column + 1}`, polygon, group));
    this.step(() => {
      this.slots.push(...added);
      this.#spread();
    });
    return added;
  }

  addPolygon(polygon) {
    const used = new Set(this.slots.map((slot) => slot.id));
    let number = 1;
    while (used.has(`P${number}`)) number += 1;
    const added = this.#made(`P${number}`, polygon);
    this.step(() => {
      this.slots.push(added);
      this.#spread();
    });
    return added;
  }

  #made(id, polygon, group) {
    return { id, polygon, item: '', kind: 'countable', ...(group ? { group } : {}) };
  }

  set(ids, fields) {
    this.step(() => {
      for (const slot of this.slots) if (ids.includes(slot.id)) Object.assign(slot, fields);
      if ('polygon' in fields) this.#spread();
    });
  }

  // Null, or why not.
  rename(id, name) {
    if (name === id) return null;
    if (!ID.test(name)) return 'Lettres et chiffres, puis - _ ou un point ; 32 au plus.';
    if (this.get(name)) return `La case ${name} existe déjà.`;
    this.step(() => { this.get(id).id = name; });
    return null;
  }

  remove(ids) {
    this.step(() => { this.slots = this.slots.filter((slot) => !ids.includes(slot.id)); });
  }

  // One place of two: around both, under the first one's name and item.
  merge(first, second) {
    this.step(() => {
      const [one, other] = [this.get(first), this.get(second)];
      one.polygon = hull([...one.polygon, ...other.polygon]);
      if (!one.item) Object.assign(one, { item: other.item, label: other.label });
      delete one.count;
      this.slots = this.slots.filter((slot) => slot.id !== second);
    });
  }

  // `px`: short side of one item, measured in place `id`. Compartments of the same grid are nearer or farther: theirs
  // follows the size of the compartment in the picture. Places measured or loaded elsewhere keep theirs.
  measured(px, id) {
    this.step(() => {
      const slot = id ? this.get(id) : null;
      if (slot) slot.px_per_item = Math.round(px * 10) / 10;
      this.measure = { px, area: slot ? area(slot.polygon) : null, group: slot?.group ?? null };
      this.#spread();
    });
  }

  #spread() {
    const { measure } = this;
    if (!measure) return;
    for (const slot of this.slots) {
      const same = measure.area && slot.group && slot.group === measure.group;
      if (same) slot.px_per_item = Math.round(measure.px * Math.sqrt(area(slot.polygon) / measure.area) * 10) / 10;
      else if (!slot.px_per_item) slot.px_per_item = Math.round(measure.px * 10) / 10;
    }
  }

  // Top to bottom, left to right, as a printed list goes: a place belongs to a row while its middle lies in it.
  inOrder() {
    const left = this.slots.map((slot) => ({ slot, at: middle(slot.polygon), high: Math.sqrt(area(slot.polygon)) }));
    left.sort((a, b) => a.at[1] - b.at[1]);
    const ordered = [];
    while (left.length) {
      const [, y] = left[0].at;
      const row = left.filter(({ at, high }) => at[1] - y < high * 0.5);
      row.sort((a, b) => a.at[0] - b.at[0]);
      ordered.push(...row.map(({ slot }) => slot));
      for (const one of row) left.splice(left.indexOf(one), 1);
    }
    return ordered;
  }

  difference() {
    const before = new Map(JSON.parse(this.#loaded).map((slot) => [slot.id, JSON.stringify(slot)]));
    const now = new Map(this.slots.map((slot) => [slot.id, JSON.stringify(slot)]));
    const added = [...now.keys()].filter((id) => !before.has(id));
    const removed = [...before.keys()].filter((id) => !now.has(id));
    const changed = [...now.keys()].filter((id) => before.has(id) && before.get(id) !== now.get(id));
    return { added, removed, changed, same: now.size - added.length - changed.length };
  }

  // As contracts.racks wants it: fields that are not ours go through as they came.
  description(picture) {
    const slots = this.slots.map(({ label, group, known, ...slot }) => slot);
    return { ...this.base, version: 2, picture: picture ?? this.base?.picture, slots };
  }

  saved() {
    this.#loaded = JSON.stringify(this.slots);
    this.#past = [];
    this.onChange();
  }
}

// The list of `copeau vision teach`: "article", "article;pièces" or "case;article;pièces", a line each in printed order, or
// columns named by a first line (slot, item, count). Semicolon, tab or comma; "-" leaves a place empty, "#" is a remark.
const TITLES = { slot: 'slot', case: 'slot', emplacement: 'slot', item: 'code', article: 'code', code: 'code', 'référence': 'code', count: 'count', 'pièces': 'count' };

export function parseList(text, slots) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() && !line.trim().startsWith('#'));
  const mark = [';', '\t', ','].find((one) => lines[0]?.includes(one)) ?? ';';
  const rows = lines.map((line) => line.split(mark).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1')));
  const titles = rows[0]?.map((cell) => TITLES[cell.toLowerCase()]);
  const named = titles?.includes('code') ? (rows.shift(), titles) : null;
  return rows.map((cells) => {
    const columns = named ?? (cells.length > 1 && slots.has(cells[0]) && !/^\d*$/.test(cells[1]) ? ['slot', 'code', 'count'] : ['code', 'count']);
    const line = {};
    columns.forEach((name, index) => { if (name && cells[index]) line[name] = cells[index]; });
    return { code: line.code === '-' ? '' : line.code ?? '', ...(line.slot ? { slot: line.slot } : {}), ...(/^\d{1,4}$/.test(line.count ?? '') ? { count: Number(line.count) } : {}) };
  });
}
