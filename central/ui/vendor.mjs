// Copies what the pages load from node_modules into static/vendor (not committed). Run after `npm ci`.
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const files = {
  'htmx.org/dist/htmx.min.js': 'htmx.min.js',
  'uplot/dist/uPlot.iife.min.js': 'uplot.min.js',
  'uplot/dist/uPlot.min.css': 'uplot.min.css',
  'idb/build/index.js': 'idb.js',
};

const target = join(here, 'static', 'vendor');
await mkdir(target, { recursive: true });
for (const [from, to] of Object.entries(files)) await copyFile(join(here, 'node_modules', from), join(target, to));
console.log(`${Object.keys(files).length} files in static/vendor`);
