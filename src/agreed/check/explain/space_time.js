// Lanes, arrows and marks; what is hidden; and which events are pinned.

const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const events = eventsOf(data);
const kinds = [...new Set(data.messages.map(message => message.kind || "messages"))];
const hidden = new Set();
let pinned = null, plan = null;
const wrong = events.find(event => event.mark && event.mark.kind === "wrong");

function exactly(moment) { return data.span < 100000 ? String(moment) : (moment / 1e6).toFixed(3) + " ms"; }

function relations() {
  if (pinned === null) return null;
  return {causes: causesOf(events, pinned), effects: effectsOf(events, pinned)};
}

function isShown(event, related) {
  if (event.message && hidden.has(event.message.kind || "messages")) return false;
  if (event.mark && ["fault", "crash", "restart"].includes(event.mark.kind)) return true;
  return !(at("related").checked && related && !related.causes.has(event.place));
}

function lay() {
  const related = relations(), wide = at("sheet").clientWidth, count = data.lanes.length;
  const column = Math.max(170, Math.min(320, (wide - LEFT - 150) / Math.max(count - 0.2, 1)));
  const {y, height} = linesOf(events, event => isShown(event, related));
  plan = {y, height, related, x: lane => LEFT + 40 + lane * column, column, width: Math.max(wide - 2, LEFT + 40 + (count - 1) * column + 170)};
}

function paint() {
  lay();
  const canvas = at("canvas");
  canvas.replaceChildren();
  canvas.setAttribute("width", plan.width);
  canvas.setAttribute("height", plan.height);
  canvas.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`);
  const defs = draw(canvas, "defs");
  for (let hue = 0; hue < 8; hue++) {
    const marker = draw(defs, "marker", {id: "arrow-" + hue, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse", class: "hue-" + hue});
    draw(marker, "path", {d: "M0 0 L10 5 L0 10 z", class: "head-of"});
  }
  paintBands(canvas);
  paintLives(canvas);
  paintTimes(canvas);
  const byMessage = new Map();
  for (const event of events) if (event.message) {
    if (!byMessage.has(event.number)) byMessage.set(event.number, {});
    byMessage.get(event.number)[event.end] = event;
  }
  for (const ends of byMessage.values()) if (plan.y.has(ends.sent.place)) paintMessage(canvas, ends);
  for (const event of events) if (event.mark && plan.y.has(event.place)) paintMark(canvas, event);
  paintLanes();
  showDetails();
}

function paintLanes() {
  const box = at("lanes");
  box.replaceChildren();
  data.lanes.forEach((lane, number) => {
    const span = element(box, "span", lane.name);
    if (lane.detail) element(span, "small", lane.detail);
    span.style.left = plan.x(number) - at("sheet").scrollLeft + "px";
  });
}

function endOf(mark) { return mark.until === undefined || mark.until === null ? plan.height - 20 : lineAt(events, plan.y, mark.until, plan.height); }

function paintBands(canvas) {
  for (const event of events) {
    const {mark} = event;
    if (!mark || mark.kind !== "fault" || event.lane !== null || !plan.y.has(event.place)) continue;
    const y = plan.y.get(event.place), end = endOf(mark);
    draw(canvas, "rect", {x: 0, y, width: plan.width, height: Math.max(end - y, 2), class: "band"});
    for (const edge of [y, end]) draw(canvas, "line", {x1: 0, x2: plan.width, y1: edge, y2: edge, class: "band-edge"});
  }
}

function paintLives(canvas) {
  data.lanes.forEach((_, lane) => {
    let up = true, from = 0;
    const stretch = (to, alive) => draw(canvas, "line", {x1: plan.x(lane), x2: plan.x(lane), y1: from, y2: to, class: alive ? "life" : "life down"});
    for (const event of events) {
      if (!event.mark || event.lane !== lane || !plan.y.has(event.place)) continue;
      const y = plan.y.get(event.place);
      if (event.mark.kind === "crash" && up) { stretch(y, true); from = y; up = false; }
      if (event.mark.kind === "restart" && !up) { stretch(y, false); from = y; up = true; }
      const lasting = event.mark.kind === "span" || event.mark.kind === "fault";
      if (lasting) draw(canvas, "line", {x1: plan.x(lane), x2: plan.x(lane), y1: y, y2: Math.max(endOf(event.mark), y + 4), class: "span " + event.mark.kind});
    }
    stretch(plan.height, up);
  });
}

function paintTimes(canvas) {
  let last = -Infinity, said = "";
  for (const event of events) {
    const y = plan.y.get(event.place), text = exactly(event.at);
    if (y === undefined || y - last < 30 || text === said) continue;
    last = y; said = text;
    draw(canvas, "text", {x: LEFT - 22, y: y + 4, class: "tick", "text-anchor": "end"}, text);
  }
}

function related(...places) {
  return !plan.related || places.some(place => plan.related.causes.has(place) || plan.related.effects.has(place));
}

function paintMessage(canvas, {sent, received}) {
  const {message} = sent, hue = kinds.indexOf(message.kind || "messages") % 8;
  const x1 = plan.x(sent.lane), y1 = plan.y.get(sent.place);
  const target = data.lanes.findIndex(lane => lane.name === message.target), x2 = plan.x(target);
  const arrives = received && plan.y.has(received.place);
  const all = ["message", "hue-" + hue];
  if (!received) all.push("lost");
  if (!related(sent.place, ...(received ? [received.place] : []))) all.push("unrelated");
  if (pinned === sent.place || (received && pinned === received.place)) all.push("pinned");
  const group = draw(canvas, "g", {class: all.join(" "), "data-place": received ? received.place : sent.place, id: "event-" + sent.place});
  const side = x2 === x1 ? 1 : Math.sign(x2 - x1);
  if (arrives) {
    const y2 = plan.y.get(received.place), d = x1 === x2 ? `M${x1 + 4} ${y1} C${x1 + 50} ${y1} ${x1 + 50} ${y2} ${x1 + 5} ${y2}` : `M${x1 + 4 * side} ${y1} L${x2 - 5 * side} ${y2}`;
    draw(group, "path", {d, class: "hit"});
    draw(group, "path", {d, "marker-end": `url(#arrow-${hue})`});
  } else {
    const long = x1 === x2 ? 46 : Math.abs(x2 - x1) * 0.62, x = x1 + side * long, y = y1 + 12;
    draw(group, "path", {d: `M${x1 + 4 * side} ${y1} L${x} ${y}`, class: "hit"});
    draw(group, "path", {d: `M${x1 + 4 * side} ${y1} L${x} ${y}`});
    if (!received) draw(group, "path", {d: `M${x - 5} ${y - 5} l10 10 m0 -10 l-10 10`, class: "lost-end"});
  }
  draw(group, "circle", {cx: x1, cy: y1, r: 3.5});
  const label = fitted(message.label, Math.max(plan.column, Math.abs(x2 - x1)) - 16, 6.65);
  draw(group, "text", {x: x1 + side * 10, y: y1 - 4, "text-anchor": side > 0 ? "start" : "end"}, label);
}

function paintMark(canvas, event) {
  const {mark} = event, y = plan.y.get(event.place), x = event.lane === null ? LEFT : plan.x(event.lane);
  const all = ["mark", mark.kind === "span" ? "span-begin" : mark.kind];
  if (event.lane !== null && !related(event.place)) all.push("unrelated");
  if (pinned === event.place) all.push("pinned");
  const group = draw(canvas, "g", {class: all.join(" "), "data-place": event.place, id: "event-" + event.place});
  if (mark.kind === "wrong") {
    const wide = Math.min(mark.label.length * 7.2 + 20, plan.width - LEFT - 20);
    const left = Math.max(LEFT, Math.min(x + (event.lane === null ? 0 : 12), plan.width - wide - 10));
    draw(group, "line", {x1: event.lane === null ? 0 : x, x2: event.lane === null ? plan.width : left, y1: y, y2: y});
    draw(group, "rect", {x: left, y: y - 12, width: wide, height: 24, rx: 6});
    draw(group, "text", {x: left + 10, y: y + 4}, fitted(mark.label, wide - 16, 6.9));
    return;
  }
  if (event.lane === null) { draw(group, "text", {x: plan.width - 14, y: y + 16, "text-anchor": "end"}, mark.label); return; }
  if (mark.kind === "crash") draw(group, "path", {d: `M${x - 6} ${y - 6} l12 12 m0 -12 l-12 12`}); else draw(group, "circle", {cx: x, cy: y, r: mark.kind === "note" ? 4 : 5.5});
  draw(group, "text", {x: x + 12, y: y + 4}, fitted(mark.label, plan.column - 16, 6.7));
}

function describe(box, place) {
  const event = events[place];
  if (event.mark) {
    element(box, "b", event.mark.label);
    const lasts = event.mark.until !== undefined && event.mark.until !== null;
    element(box, "span", (event.mark.lane ? event.mark.lane + ", " : "") + exactly(event.mark.at) + (lasts ? " – " + exactly(event.mark.until) : ""));
    if (event.mark.detail) element(box, "span", event.mark.detail);
    return;
  }
  const {message} = event, arrived = message.received !== undefined && message.received !== null;
  element(box, "b", message.label);
  element(box, "span", `${message.source} → ${message.target}`);
  element(box, "span", `sent ${exactly(message.sent)}, ` + (arrived ? `received ${exactly(message.received)}` : "never received"));
  if (message.detail) element(box, "span", message.detail);
}

function showDetails() {
  const box = at("details");
  box.replaceChildren();
  if (pinned === null) {
    element(box, "p", "Click an event: what may have caused it and what it may have caused stays, the rest fades.", "hint");
    return;
  }
  describe(box, pinned);
  box.firstChild.className = "pinned-name";
  for (const node of box.querySelectorAll("span")) node.className = "line";
  const {causes, effects} = plan.related;
  element(box, "p", `${causes.size - 1} events may have caused it, and it may have caused ${effects.size - 1}, of ${events.length}.`, "sentence");
}

function pin(place) {
  pinned = place;
  paint();
  if (place !== null) {
    const y = plan.y.get(place) + at("canvas").getBoundingClientRect().top;
    if (y < 90 || y > innerHeight - 60) scrollTo({top: scrollY + y - innerHeight / 2});
  }
}

function press(event) {
  if (event.key === "Escape") { pin(null); return; }
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!step || event.target !== at("sheet")) return;
  event.preventDefault();
  const places = [...plan.y.keys()], here = pinned === null ? (step > 0 ? -1 : places.length) : places.indexOf(pinned);
  const next = places[Math.max(0, Math.min(places.length - 1, here + step))];
  if (next !== undefined) pin(next);
}

function begin() {
  at("reason").textContent = data.subtitle;
  const fact = text => element(at("facts"), "span", text);
  fact(data.lanes.length + " lanes"); fact(data.messages.length + " messages"); fact(exactly(data.span) + " long");
  const lost = data.messages.filter(message => message.received === null || message.received === undefined).length;
  if (lost) fact(lost + " never received");
  kinds.forEach((kind, number) => {
    const label = element(at("kinds"), "label", undefined, "check hue-" + number % 8), box = document.createElement("input");
    box.type = "checkbox"; box.checked = true;
    box.onchange = () => { if (box.checked) hidden.delete(kind); else hidden.add(kind); paint(); };
    label.append(box, `${kind} ${data.messages.filter(message => (message.kind || "messages") === kind).length}`);
  });
  at("related").onchange = () => pin(pinned);
  at("to-wrong").hidden = !wrong;
  if (wrong) at("to-wrong").onclick = () => pin(wrong.place);
  at("theme").onclick = otherTheme;
  const tip = at("tooltip"), canvas = at("canvas"), target = event => event.target.closest("[data-place]");
  canvas.addEventListener("mousemove", event => {
    const found = target(event);
    tip.hidden = !found;
    if (!found) return;
    tip.replaceChildren();
    describe(tip, Number(found.dataset.place));
    placeTooltip(tip, event);
  });
  canvas.addEventListener("mouseleave", () => { tip.hidden = true; });
  canvas.addEventListener("click", event => { const found = target(event); pin(found ? Number(found.dataset.place) : null); });
  at("sheet").addEventListener("scroll", paintLanes);
  addEventListener("keydown", press);
  addEventListener("resize", paint);
  paint();
}

begin();
