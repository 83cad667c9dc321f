// What the page shows now, and what changes it.

const page = {
  data: JSON.parse(document.getElementById("data").textContent),
  canvas: document.getElementById("canvas"), scroller: document.getElementById("scroller"),
  tab: 0, finding: null, scope: "whole", orderNumber: 0, zoom: 1, trueTime: false,
  active: null, pinned: null, lit: null, piece: new Set(), arrows: [],
};
page.places = new Map(page.data.operations.map((operation, place) => [operation.index, place]));
const at = id => document.getElementById(id);

page.findingsHere = () => page.data.findings.map((finding, number) => ({finding, number})).filter(each => each.finding.tab === page.tab);
page.ordersHere = () => {
  const found = page.finding === null ? [] : page.data.findings[page.finding].orders || [];
  return [...found, ...(page.data.tabs[page.tab].orders || [])];
};

function operationsInScope() {
  const every = page.data.tabs[page.tab].operations;
  if (page.scope === "whole" || !page.piece.size) return every;
  if (page.scope === "piece") return [...page.piece].sort((a, b) => a - b);
  const certain = [...page.piece].map(place => page.data.operations[place]).filter(each => each.returned !== undefined);
  if (!certain.length) return every;
  const from = Math.min(...certain.map(each => each.called)), until = Math.max(...certain.map(each => each.returned));
  return every.filter(place => {
    const each = page.data.operations[place];
    return page.piece.has(place) || (each.called <= until && (each.returned ?? Infinity) >= from);
  });
}

function recompute() {
  const finding = page.finding === null ? null : page.data.findings[page.finding];
  page.piece = new Set(finding ? finding.operations : []);
  page.arrows = finding && finding.arrows || [];
  const orders = page.ordersHere();
  page.order = orders[page.orderNumber] || null;
  const operations = operationsInScope(), shown = new Set(operations);
  const points = [];
  if (page.order) page.order.operations.forEach((place, number) => {
    if (shown.has(place)) points.push({place, number, at: page.order.at[number], state: (page.order.states || [])[number] || ""});
  });
  const view = {operations, points, stuck: new Set(page.order && page.order.stuck || []), states: Boolean(page.order && page.order.real_time !== false), arrows: page.arrows.length > 0};
  page.empty = !operations.length;
  if (!page.empty) page.natural = layOut(page.data, view, page.trueTime);
}

function resize() {
  page.plan = scaled(page.natural, page.zoom);
  at("spacer").style.width = page.plan.width + "px";
  at("spacer").style.height = page.plan.height + "px";
  paintNames();
  repaint();
}

function repaint() {
  paintChart(page, page.canvas, page.scroller.scrollLeft, page.scroller.clientWidth);
  paintOverview();
}

const SHEET_WIDE = 1150, MOST_SHEETS = 40;

// On paper nothing scrolls: the picture goes on in the next line, as music does.
function paintSheets() {
  const box = at("sheets"), count = Math.min(Math.ceil(page.plan.width / SHEET_WIDE), MOST_SHEETS);
  const longest = Math.max(...page.plan.lanes.map(lane => page.data.lanes[lane].length)), inset = longest * CHARACTER + 16;
  box.replaceChildren();
  for (let i = 0; i < count; i++) {
    const svg = draw(box, "svg", {id: "sheet-" + i, viewBox: `0 0 ${SHEET_WIDE + inset} ${page.plan.height}`});
    paintChart(page, svg, i * SHEET_WIDE, SHEET_WIDE, inset);
  }
}

function paintNames() {
  const box = at("names"), {plan, data} = page;
  box.replaceChildren();
  const put = (text, y, kind) => { const span = element(box, "span", text, kind); span.style.top = y + "px"; };
  put("time", AXIS - 15, "aside");
  if (plan.bands.length) put("faults", AXIS + 8, "aside");
  for (const lane of plan.lanes) put(data.lanes[lane], plan.row.get(lane) + plan.bar / 2);
  if (plan.states.length) put("state", plan.bottom + 14, "aside");
  const longest = Math.max(7, ...plan.lanes.map(lane => data.lanes[lane].length));
  box.style.width = Math.min(longest, 26) * 7.3 + 24 + "px";
}

function paintOverview() {
  const svg = at("overview"), {plan, data} = page, wide = svg.clientWidth, seen = page.scroller.clientWidth;
  svg.replaceChildren();
  svg.style.display = plan.width > seen + 4 ? "" : "none";
  if (plan.width <= seen + 4) return;
  const scale = wide / plan.width, counts = new Array(Math.ceil(wide / 3)).fill(0);
  for (const bar of plan.bars.values()) if (!bar.open) {
    const last = Math.min(counts.length - 1, Math.trunc(bar.to * scale / 3));
    for (let i = Math.trunc(bar.from * scale / 3); i <= last; i++) counts[i]++;
  }
  const most = Math.max(1, ...counts);
  for (const band of plan.bands) draw(svg, "rect", {x: band.from * scale, y: 0, width: Math.max((band.to - band.from) * scale, 2), height: 22, class: "fault"});
  counts.forEach((count, i) => count && draw(svg, "rect", {x: i * 3, y: 22 - 16 * count / most, width: 2.4, height: 16 * count / most, class: "mass"}));
  for (const place of [...page.piece, ...plan.stuck]) {
    const bar = plan.bars.get(place);
    if (bar) draw(svg, "rect", {x: bar.from * scale, y: 0, width: 2.5, height: 22, class: "mark"});
  }
  draw(svg, "rect", {x: page.scroller.scrollLeft * scale, y: 0.5, width: Math.max(seen * scale, 6), height: 21, rx: 3, class: "window"});
}

function fitZoom() { return Math.max(0.02, Math.min(2.2, (page.scroller.clientWidth - 2) / page.natural.width)); }

function reveal(place, smooth) {
  const bar = page.plan.bars.get(place);
  if (!bar) return;
  const left = page.scroller.scrollLeft, seen = page.scroller.clientWidth;
  if (bar.from >= left && Math.min(bar.to, bar.from + 80) <= left + seen) return;
  page.scroller.scrollTo({left: Math.max(0, bar.from - seen / 3), behavior: smooth ? "smooth" : "auto"});
}

// Everything anew, at the size at which it can be read, with the piece in sight.
function refresh() {
  recompute();
  if (page.pinned !== null && !operationsInScope().includes(page.pinned)) page.pinned = null;
  if (page.active !== null && !operationsInScope().includes(page.active)) page.active = null;
  paintToolbar(); paintTabs(); paintFinding();
  at("picture").hidden = page.empty;
  if (page.empty) return;
  page.plan = page.natural;
  paintNames();  // they take their part of the width
  const fit = fitZoom();
  page.zoom = fit >= 0.75 ? Math.min(fit, 1.5) : 1;
  resize();
  const stuck = [...page.plan.stuck][0], target = page.plan.bars.get(stuck ?? [...page.piece][0]);
  page.scroller.scrollLeft = target ? Math.max(0, target.from - page.scroller.clientWidth * 0.7) : 0;
  if (stuck !== undefined && page.active === null) page.active = stuck;
  repaint();
  showDetails(page);
}

function setZoom(zoom) {
  const middle = (page.scroller.scrollLeft + page.scroller.clientWidth / 2) / page.plan.width;
  page.zoom = Math.max(0.02, Math.min(6, zoom));
  resize();
  page.scroller.scrollLeft = middle * page.plan.width - page.scroller.clientWidth / 2;
  repaint();
}

page.pin = place => { page.pinned = place; page.active = place; reveal(place, true); repaint(); showDetails(page); mark(); };

function activate(place) { page.active = place; page.pinned = null; reveal(place); repaint(); showDetails(page); mark(); }

function mark() {
  if (page.active === null) page.scroller.removeAttribute("aria-activedescendant");
  else page.scroller.setAttribute("aria-activedescendant", "bar-" + page.active);
}

function light(number) {
  page.lit = number;
  document.querySelectorAll("[data-arrow]").forEach(node => node.classList.toggle("lit", Number(node.dataset.arrow) === number));
  [...at("steps").children].forEach((node, i) => node.classList.toggle("lit", number !== null && page.arrows[number].step === i));
  repaint();
}
