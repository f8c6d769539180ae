// A few helpers to build the screen without a framework.
const zone = document.documentElement.dataset.zone;
const SVG = 'http://www.w3.org/2000/svg';

// A French sentence does not break before its high punctuation.
const french = (text) => text.replace(/ ([?!:;»])/g, '\u00a0$1').replaceAll('« ', '«\u00a0');

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  const shown = children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...shown.map((child) => (typeof child === 'string' ? french(child) : child)));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

const hourMinute = new Intl.DateTimeFormat('fr-FR', { hour: '2-digit', minute: '2-digit', timeZone: zone });
const dayHour = new Intl.DateTimeFormat('fr-FR', { weekday: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', timeZone: zone });
const day = new Intl.DateTimeFormat('fr-FR', { dateStyle: 'short', timeZone: zone });

export function clockText(milliseconds) {
  const moment = new Date(milliseconds);
  return day.format(moment) === day.format(new Date()) ? hourMinute.format(moment) : dayHour.format(moment);
}

export function elapsed(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  const two = (value) => String(value).padStart(2, '0');
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours ? `${hours} h ${two(minutes)}` : `${minutes} min ${two(seconds % 60)}`;
}

export const number = (value) => new Intl.NumberFormat('fr-FR', { maximumFractionDigits: 3 }).format(value);
