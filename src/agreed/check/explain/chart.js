// The bars, points, bands and states.  Only what is in sight is drawn, so that ten thousand operations scroll
// as smoothly as ten; on paper everything is in sight.

// The part of the plan from `from` on that is `seen` wide; `inset`: how much is left free for names at its left.
function paintChart(page, canvas, from, seen, inset = 0) {
  const {data, plan} = page;
  canvas.replaceChildren();
  canvas.setAttribute("width", seen + inset);
  canvas.setAttribute("height", plan.height);
  const defs = draw(canvas, "defs");
  const fade = draw(defs, "linearGradient", {id: canvas.id + "-open"});
  draw(fade, "stop", {offset: 0, "stop-color": "var(--info-fill)"});
  draw(fade, "stop", {offset: 1, "stop-color": "var(--info-fill)", "stop-opacity": 0.15});
  arrowHead(defs, canvas.id + "-arrow");
  if (inset) {
    const cut = draw(defs, "clipPath", {id: canvas.id + "-cut"});
    draw(cut, "rect", {x: from - 2, y: 0, width: seen + 4, height: plan.height});
  }
  const outer = draw(canvas, "g", {transform: `translate(${inset - from} 0)`});
  if (inset) for (const lane of plan.lanes) draw(outer, "text", {x: from - 10, y: plan.row.get(lane) + plan.bar / 2 + 4, "text-anchor": "end"}, data.lanes[lane]);
  const all = draw(outer, "g", inset ? {"clip-path": `url(#${canvas.id}-cut)`} : {});
  const visible = (a, b) => b >= from - 40 && a <= from + seen + 40;
  paintGrid(all, page, from, seen, visible);
  paintPath(all, page, visible);
  for (const bar of plan.bars.values()) if (visible(bar.from, bar.to)) paintBar(all, page, bar, from, canvas.id);
  paintPoints(all, page, visible);
  paintArrows(all, page, visible, canvas.id);
  paintStates(all, page, from, visible);
}

function paintGrid(all, page, from, seen, visible) {
  const {data, plan} = page;
  for (const lane of plan.lanes) {
    const y = plan.row.get(lane) + plan.bar / 2;
    draw(all, "line", {x1: from, x2: from + seen, y1: y, y2: y, class: "lane-line"});
  }
  let last = -Infinity;
  for (const tick of plan.ticks) {
    if (tick.x - last < 96 || tick.x > plan.width - 60) continue;
    last = tick.x;
    if (!visible(tick.x, tick.x)) continue;
    draw(all, "line", {x1: tick.x, x2: tick.x, y1: AXIS - 6, y2: plan.bottom, class: "grid"});
    draw(all, "text", {x: tick.x, y: AXIS - 11, class: "tick", "text-anchor": "start"}, momentText(tick.at, data.span));
  }
  for (const band of plan.bands) {
    if (!visible(band.from, Math.max(band.to, band.from + 100))) continue;
    const y = AXIS + band.line * FAULT, wide = Math.max(band.to - band.from, 3);
    draw(all, "rect", {x: band.from, y, width: wide, height: plan.bottom - y, class: "fault-band"});
    for (const x of [band.from, band.to]) draw(all, "line", {x1: x, x2: x, y1: y, y2: plan.bottom, class: "fault-edge"});
    const group = draw(all, "g", {class: "fault-bar", "data-fault": data.faults.indexOf(band.fault)});
    draw(group, "rect", {x: band.from, y, width: wide, height: FAULT - 3, rx: 3});
    draw(group, "text", {x: Math.max(band.from, Math.min(from, band.to - 80)) + 6, y: y + 12.5}, band.fault.name);
  }
}

function paintBar(all, page, bar, from, id) {
  const operation = page.data.operations[bar.place], {plan} = page;
  const kinds = ["bar", operation.status];
  if (plan.stuck.has(bar.place)) kinds.push("stuck");
  if (page.piece.size && page.scope !== "piece") kinds.push(page.piece.has(bar.place) ? "piece" : "dim");
  if (page.active === bar.place) kinds.push("active");
  if (page.pinned === bar.place) kinds.push("pinned");
  const group = draw(all, "g", {
    class: kinds.join(" "), id: "bar-" + bar.place, role: "option", "data-place": bar.place,
    "aria-selected": page.pinned === bar.place, "aria-label": spoken(page, bar.place),
  });
  const wide = Math.max(bar.to - bar.from, 4);
  draw(group, "rect", {x: bar.from, y: bar.y, width: wide, height: plan.bar, rx: 4, ...(bar.open ? {fill: `url(#${id}-open)`} : {})});
  if (bar.open) draw(group, "path", {d: `M${bar.to} ${bar.y} H${bar.from + 4} q-4 0 -4 4 v${plan.bar - 8} q0 4 4 4 H${bar.to}`, "stroke-dasharray": "5 3"});
  const left = Math.max(bar.from, Math.min(from, bar.to - operation.label.length * CHARACTER - 12)) + 7;
  const label = fitted(operation.label, bar.to - left - 3);
  if (label) draw(group, "text", {x: left, y: bar.y + plan.bar / 2 + 4}, label);
  if (page.pinned === bar.place) {
    for (const x of bar.open ? [bar.from] : [bar.from, bar.to]) draw(all, "line", {x1: x, x2: x, y1: AXIS - 4, y2: plan.bottom, class: "guide"});
  }
}

// The order is a line from point to point.  It runs behind the bars, so that they can be read.
function paintPath(all, page, visible) {
  const {plan} = page, points = drawnPoints(plan), foot = plan.bar + 1;
  for (let i = 1; i < points.length; i++) {
    const a = points[i - 1], b = points[i];
    if (visible(Math.min(a.x, b.x), Math.max(a.x, b.x))) draw(all, "path", {d: link(a.x, a.y + foot, b.x, b.y + foot), class: "path"});
  }
  const last = points[points.length - 1];
  for (const place of last ? plan.stuck : []) {
    const bar = plan.bars.get(place);
    if (bar) draw(all, "path", {d: link(last.x, last.y + foot, crossAt(bar, last), bar.y + foot), class: "path broken"});
  }
}

// Where the next point would be, on a bar that cannot have it.
function crossAt(bar, last) {
  return Math.min(Math.max((last ? last.x : bar.from) + 26, bar.from + 14), Math.max(bar.to - 10, bar.from + 4));
}

function drawnPoints(plan) { return plan.points.filter(point => point.y !== undefined); }

function paintPoints(all, page, visible) {
  const {plan} = page, points = drawnPoints(plan), foot = plan.bar + 1, last = points[points.length - 1];
  for (const place of plan.stuck) {
    const bar = plan.bars.get(place);
    if (!bar || !visible(bar.from, bar.to)) continue;
    const x = crossAt(bar, last), y = bar.y + foot;
    draw(all, "path", {d: `M${x - 5} ${y - 5} l10 10 m0 -10 l-10 10`, class: "cross"});
  }
  for (const point of points) {
    if (!visible(point.x, point.x)) continue;
    const group = draw(all, "g", {class: "point"});
    draw(group, "circle", {cx: point.x, cy: point.y + foot, r: 4.5});
    if (page.zoom > 0.6) draw(group, "text", {x: point.x + 7, y: point.y + foot + 10}, point.number + 1);
  }
}

function link(x1, y1, x2, y2) {
  const bend = Math.min(Math.abs(x2 - x1) / 2, 30);
  return `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function paintStates(all, page, from, visible) {
  const {plan} = page, y = plan.bottom + 4;
  if (!plan.states.length) return;
  plan.states.forEach((chip, i) => {
    if (!visible(chip.from, chip.to)) return;
    const group = draw(all, "g", {class: "state", "data-state": i});
    draw(group, "rect", {x: chip.from + 0.5, y, width: Math.max(chip.to - chip.from - 2, 2), height: 20, rx: 4});
    const left = Math.max(chip.from, Math.min(from, chip.to - 40)) + 6;
    const text = fitted(chip.text, chip.to - left - 4, 6.7);
    if (text) draw(group, "text", {x: left, y: y + 14}, text);
  });
  const last = plan.states[plan.states.length - 1];
  if (plan.stuck.size && visible(last.to, last.to + 110)) {
    const group = draw(all, "g", {class: "state dead"});
    draw(group, "rect", {x: last.to + 1, y, width: 96, height: 20, rx: 4});
    draw(group, "text", {x: last.to + 7, y: y + 14}, "nothing fits");
  }
}

function paintArrows(all, page, visible, id) {
  page.arrows.forEach((arrow, number) => {
    const a = page.plan.bars.get(arrow.source), b = page.plan.bars.get(arrow.target);
    if (!a || !b) return;
    // Arrows leave to the right of the middle and arrive to the left of it, so that two between the same bars part.
    const middle = bar => bar.open ? bar.from + Math.min(60, (bar.to - bar.from) / 2) : (bar.from + bar.to) / 2;
    const aside = bar => Math.min(36, (bar.to - bar.from) / 4);
    const x1 = middle(a) + aside(a), x2 = middle(b) - aside(b);
    if (!visible(Math.min(x1, x2), Math.max(x1, x2))) return;
    const down = b.y > a.y, same = b.y === a.y;
    const tall = page.plan.bar, y1 = a.y + (down || same ? tall : 0), y2 = b.y + (down ? 0 : tall);
    const sway = same ? 20 + Math.min(20, Math.abs(x2 - x1) / 40) : 0, side = x2 >= x1 ? 14 : -14;
    const d = `M${x1} ${y1} C${x1 + side} ${y1 + (down ? 18 : same ? sway : -18)} ${x2 - side} ${y2 + (down ? -18 : same ? sway : 18)} ${x2} ${y2}`;
    const path = draw(all, "path", {d, class: "arrow" + (page.lit === number ? " lit" : ""), "marker-end": `url(#${id}-arrow)`});
    const half = path.getPointAtLength(path.getTotalLength() / 2);
    badge(all, half.x, half.y, (arrow.step ?? number) + 1);
  });
}
