// Plane geometry of places in a picture, px. A polygon is a list of [x, y]; a quad is four corners in reading order:
// top left, top right, bottom right, bottom left.

const round = (value) => Math.round(value * 10) / 10;

// The projective map from the unit square to `quad` (Heckbert, 1989: square to quadrilateral).
export function project(quad) {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = quad;
  const dx1 = x1 - x2, dx2 = x3 - x2, sx = x0 - x1 + x2 - x3;
  const dy1 = y1 - y2, dy2 = y3 - y2, sy = y0 - y1 + y2 - y3;
  const bottom = dx1 * dy2 - dx2 * dy1;
  const g = bottom ? (sx * dy2 - dx2 * sy) / bottom : 0;
  const h = bottom ? (dx1 * sy - sx * dy1) / bottom : 0;
  const a = x1 - x0 + g * x1, b = x3 - x0 + h * x3;
  const d = y1 - y0 + g * y1, e = y3 - y0 + h * y3;
  return (u, v) => {
    const w = g * u + h * v + 1;
    return [round((a * u + b * v + x0) / w), round((d * u + e * v + y0) / w)];
  };
}

// The compartments of a tray seen from anywhere, row by row; `wall` is the share of a compartment left free on each side.
export function grid(quad, rows, columns, wall = 0.03) {
  const at = project(quad);
  const cells = [];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const left = (column + wall) / columns, right = (column + 1 - wall) / columns;
      const top = (row + wall) / rows, bottom = (row + 1 - wall) / rows;
      cells.push({ row, column, polygon: [at(left, top), at(right, top), at(right, bottom), at(left, bottom)] });
    }
  }
  return cells;
}

export function area(polygon) {
  let sum = 0;
  polygon.forEach(([x0, y0], index) => {
    const [x1, y1] = polygon[(index + 1) % polygon.length];
    sum += x0 * y1 - x1 * y0;
  });
  return Math.abs(sum) / 2;
}

export function middle(polygon) {
  const [x, y] = polygon.reduce(([sx, sy], [px, py]) => [sx + px, sy + py], [0, 0]);
  return [x / polygon.length, y / polygon.length];
}

// Convex hull, clockwise on the screen (Andrew's monotone chain).
export function hull(points) {
  const sorted = [...points].sort(([ax, ay], [bx, by]) => ax - bx || ay - by);
  const turn = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  const half = (list) => {
    const chain = [];
    for (const point of list) {
      while (chain.length > 1 && turn(chain.at(-2), chain.at(-1), point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

export function contains(polygon, [x, y]) {
  let inside = false;
  polygon.forEach(([x0, y0], index) => {
    const [x1, y1] = polygon[(index + 1) % polygon.length];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  });
  return inside;
}

// Rows of a rectangle that is drawn by a drag, whatever its direction.
export function rectangle([x0, y0], [x1, y1]) {
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)].map(round);
  const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)].map(round);
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

export const rounded = ([x, y]) => [round(x), round(y)];
