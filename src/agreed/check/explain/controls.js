// What one can press, and what the parts around the picture say.

const SCOPES = {piece: "Smallest piece", around: "Around it", whole: "Whole history"};
const KEYS = {
  "← →": "the operation called before or after", "↑ ↓": "the nearest operation of the client above or below",
  "Enter": "pin it; Escape lets it go", ", .": "before or after it in the order", "[ ]": "previous or next finding",
  "1 2 3": "smallest piece, around it, whole history", "+ − 0": "larger, smaller, all of it", "t": "true or compressed time",
};

function paintHead() {
  const {data} = page, outcome = at("outcome");
  outcome.textContent = {holds: "Holds", violated: "Violated", unknown: "Unknown"}[data.outcome];
  outcome.className = data.outcome;
  at("reason").textContent = data.reason;
  const facts = at("facts"), fact = text => text && element(facts, "span", text);
  fact(data.judged);
  fact(data.operations_in_all === 1 ? "1 operation" : data.operations_in_all.toLocaleString("en") + " operations");
  fact(data.lanes.length === 1 ? "1 client" : data.lanes.length + " clients");
  const open = data.operations.filter(each => each.status === "info").length;
  fact(open ? open + " never answered" : "");
  fact(data.faults.length ? (data.faults.length === 1 ? "1 fault" : data.faults.length + " faults") : "");
  fact(data.span >= 100000 ? momentText(data.span, data.span) + " long" : "");
  const models = at("models");
  if (data.ruled_out.length) element(models, "span", "Ruled out: " + data.ruled_out.join(", ") + ".");
  if (data.also_ruled_out.length) {
    const more = element(models, "details");
    element(more, "summary", data.also_ruled_out.length === 1 ? "and with these a stronger one" : `and with these ${data.also_ruled_out.length} stronger ones`);
    more.append(data.also_ruled_out.join(", "));
  }
  const notes = [];
  if (data.operations.length < data.operations_in_all) notes.push(`${data.operations.length.toLocaleString("en")} of ${data.operations_in_all.toLocaleString("en")} operations are drawn: those nearest to the first finding.`);
  if (data.findings.length < data.findings_in_all) notes.push(`${data.findings.length} of ${data.findings_in_all} findings are drawn.`);
  at("note").textContent = notes.join(" ");
  for (const [key, what] of Object.entries(KEYS)) { element(at("keys"), "dt", key); element(at("keys"), "dd", what); }
}

function paintTabs() {
  const box = at("tabs");
  if (box.childElementCount === 0 && page.data.tabs.length > 1) page.data.tabs.forEach((tab, number) => {
    const button = element(box, "button", tab.name || "(no key)", tab.outcome);
    element(button, "small", tab.operations.length);
    button.type = "button";
    button.setAttribute("role", "tab");
    button.onclick = () => openTab(number);
    button.onkeydown = event => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!step) return;
      const next = (number + step + page.data.tabs.length) % page.data.tabs.length;
      openTab(next);
      box.children[next].focus();
      event.stopPropagation();
    };
  });
  [...box.children].forEach((button, number) => {
    button.setAttribute("aria-selected", number === page.tab);
    button.tabIndex = number === page.tab ? 0 : -1;
  });
}

function openTab(number) {
  page.tab = number;
  const here = page.findingsHere();
  openFinding(here.length ? here[0].number : null);
}

function openFinding(number) {
  page.finding = number;
  page.orderNumber = 0;
  page.lit = null;
  page.scope = number !== null && page.data.findings[number].operations.length ? "piece" : "whole";
  refresh();
}

function paintFinding() {
  const box = at("findings"), here = page.findingsHere(), list = at("steps"), head = at("finding-switch");
  const finding = page.finding === null ? null : page.data.findings[page.finding];
  box.hidden = !finding;
  list.replaceChildren(); head.replaceChildren();
  if (!finding) return;
  at("findings-head").textContent = finding.name;
  finding.steps.forEach((step, i) => {
    const item = element(list, "li");
    linked(item, step);
    const arrow = page.arrows.findIndex(each => each.step === i);
    if (arrow >= 0) { item.onmouseenter = () => light(arrow); item.onmouseleave = () => light(null); }
  });
  paintCycle(page, finding);
  if (here.length < 2) return;
  const place = here.findIndex(each => each.number === page.finding);
  const step = (name, by, label) => {
    const button = element(head, "button", name);
    button.type = "button"; button.setAttribute("aria-label", label);
    button.onclick = () => openFinding(here[(place + by + here.length) % here.length].number);
  };
  step("‹", -1, "previous finding");
  const select = element(head, "select");
  select.setAttribute("aria-label", "Finding");
  here.forEach((each, i) => { const option = element(select, "option", `${i + 1}. ${each.finding.name}`); option.value = each.number; option.selected = i === place; });
  select.onchange = () => openFinding(Number(select.value));
  step("›", 1, "next finding");
  element(head, "span", `of ${here.length}`);
}

// Where a sentence names an operation, one can go there.
function linked(parent, sentence) {
  let last = 0;
  for (const found of sentence.matchAll(/(?:operation |#)(\d+)/g)) {
    const place = page.places.get(Number(found[1]));
    if (place === undefined) continue;
    parent.append(sentence.slice(last, found.index));
    const button = element(parent, "button", found[0], "reference");
    button.type = "button";
    button.onclick = () => {
      if (!page.plan.bars.has(place)) { page.scope = "whole"; refresh(); }
      if (page.plan.bars.has(place)) page.pin(place);
    };
    last = found.index + found[0].length;
  }
  parent.append(sentence.slice(last));
}

function paintToolbar() {
  const scopes = at("scope");
  scopes.replaceChildren();
  scopes.hidden = !page.piece.size;
  if (page.piece.size) for (const [name, label] of Object.entries(SCOPES)) {
    const button = element(scopes, "button", label);
    button.type = "button";
    button.setAttribute("aria-pressed", page.scope === name);
    button.onclick = () => { page.scope = name; refresh(); scopes.querySelector('[aria-pressed="true"]').focus(); };
  }
  const select = at("order"), orders = page.ordersHere();
  at("order-label").hidden = orders.length === 0;
  select.replaceChildren();
  orders.forEach((order, number) => {
    const option = element(select, "option", order.name + (order.stuck && order.stuck.length ? `: stuck after ${order.operations.length}` : ""));
    option.value = number; option.selected = number === page.orderNumber;
  });
  const none = element(select, "option", "none"); none.value = -1; none.selected = page.orderNumber < 0;
  paintLegend(orders);
}

function paintLegend(orders) {
  const list = at("legend"), {data} = page, stuck = orders.some(order => (order.stuck || []).length);
  list.replaceChildren();
  const entry = (text, drawing) => {
    const item = element(list, "li");
    drawing(draw(item, "svg", {viewBox: "0 0 30 16", "aria-hidden": true}));
    item.append(text);
  };
  const bar = kind => svg => draw(draw(svg, "g", {class: "bar " + kind}), "rect", {x: 1, y: 2, width: 28, height: 12, rx: 3, style: kind === "info" ? "fill:var(--info-fill);stroke:var(--info-line);stroke-dasharray:4 3" : ""});
  const here = operationsInScope(), has = status => here.some(place => data.operations[place].status === status);
  entry("happened", bar("ok"));
  if (has("info")) entry("never answered: may have happened later, or not at all", bar("info"));
  if (has("fail")) entry("surely did not happen", bar("fail"));
  if (orders.length) entry("the moment at which this order lets it take effect, and its number", svg => draw(draw(svg, "g", {class: "point"}), "circle", {cx: 15, cy: 8, r: 5}));
  if (stuck) entry("it would have to be next, and cannot", bar("ok stuck"));
  if (page.natural && page.natural.bands.length) entry("a fault was on", svg => draw(svg, "rect", {x: 1, y: 2, width: 28, height: 12, style: "fill:var(--fault);opacity:.3"}));
}

function move(event) {
  const places = [...page.plan.bars.keys()].sort((a, b) => page.data.operations[a].called - page.data.operations[b].called || a - b);
  const here = page.active, last = places.length - 1, i = places.indexOf(here);
  if (event.key === "ArrowRight") return activate(places[Math.min(i + 1, last)]);
  if (event.key === "ArrowLeft") return activate(places[Math.max(i - 1, 0)]);
  if (event.key === "Home") return activate(places[0]);
  if (event.key === "End") return activate(places[last]);
  if (i < 0) return activate(places[0]);
  const lanes = page.plan.lanes, row = lanes.indexOf(page.data.operations[here].lane) + (event.key === "ArrowDown" ? 1 : -1);
  if (row < 0 || row >= lanes.length) return undefined;
  const from = page.plan.bars.get(here).from;
  const near = places.filter(place => page.data.operations[place].lane === lanes[row]);
  return activate(near.reduce((best, place) => Math.abs(page.plan.bars.get(place).from - from) < Math.abs(page.plan.bars.get(best).from - from) ? place : best));
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || page.empty) return;
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  const here = page.findingsHere(), place = here.findIndex(each => each.number === page.finding);
  const scope = {1: "piece", 2: "around", 3: "whole"}[event.key];
  if (event.target === page.scroller && ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) move(event);
  else if (event.target === page.scroller && (event.key === "Enter" || event.key === " ") && page.active !== null) page.pin(page.active);
  else if (event.key === "Escape") { page.pinned = page.active = null; repaint(); showDetails(page); mark(); }
  else if ((event.key === "," || event.key === ".") && page.active !== null && rankOf(page, page.active) >= 0) {
    const next = page.order.operations[rankOf(page, page.active) + (event.key === "." ? 1 : -1)];
    if (next === undefined || !page.plan.bars.has(next)) return;
    page.pin(next);
  }
  else if ((event.key === "[" || event.key === "]") && here.length > 1) openFinding(here[(place + (event.key === "]" ? 1 : -1) + here.length) % here.length].number);
  else if (scope && page.piece.size) { page.scope = scope; refresh(); }
  else if (event.key === "+" || event.key === "=") setZoom(page.zoom * 1.3);
  else if (event.key === "-") setZoom(page.zoom / 1.3);
  else if (event.key === "0") setZoom(fitZoom());
  else if (event.key === "t") at("true-time").click();
  else return;
  event.preventDefault();
}

function listen() {
  const tip = at("tooltip"), marked = event => event.target.closest("[data-place],[data-fault],[data-state]");
  for (const area of [page.canvas, at("cycle")]) {
    area.addEventListener("mousemove", event => { const target = marked(event); if (target) showTooltip(page, event, target); else tip.hidden = true; });
    area.addEventListener("mouseleave", () => { tip.hidden = true; });
    area.addEventListener("click", event => {
      const target = marked(event);
      if (target && target.dataset.place !== undefined) page.pin(Number(target.dataset.place));
      else if (area === page.canvas) { page.pinned = page.active = null; repaint(); showDetails(page); mark(); }
    });
  }
  at("cycle").addEventListener("keydown", event => {
    const target = marked(event);
    if (target && (event.key === "Enter" || event.key === " ")) { page.pin(Number(target.dataset.place)); event.preventDefault(); }
  });
  at("cycle").addEventListener("mouseover", event => { const arrow = event.target.closest("[data-arrow]"); light(arrow ? Number(arrow.dataset.arrow) : null); });
  let waiting = false;
  page.scroller.addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; repaint(); }); } });
  page.scroller.addEventListener("wheel", event => { if (event.ctrlKey) { event.preventDefault(); setZoom(page.zoom * Math.exp(-event.deltaY / 300)); } }, {passive: false});
  const jump = event => {
    const box = at("overview").getBoundingClientRect();
    page.scroller.scrollLeft = (event.clientX - box.left) / box.width * page.plan.width - page.scroller.clientWidth / 2;
  };
  at("overview").addEventListener("pointerdown", event => { at("overview").setPointerCapture(event.pointerId); jump(event); });
  at("overview").addEventListener("pointermove", event => { if (event.buttons) jump(event); });
  at("zoom-in").onclick = () => setZoom(page.zoom * 1.3);
  at("zoom-out").onclick = () => setZoom(page.zoom / 1.3);
  at("zoom-fit").onclick = () => setZoom(fitZoom());
  at("order").onchange = event => { page.orderNumber = Number(event.target.value); refresh(); };
  at("true-time").onchange = event => { page.trueTime = event.target.checked; refresh(); };
  at("theme").onclick = otherTheme;
  addEventListener("keydown", press);
  addEventListener("resize", () => { if (!page.empty) resize(); });
  addEventListener("beforeprint", () => { if (!page.empty) paintSheets(); });
  addEventListener("afterprint", () => at("sheets").replaceChildren());
}

paintHead();
listen();
openTab(0);
