// The pen of both pages: elements, letters that fit, times, arrow heads, and where a tooltip may stand.

const SVG = "http://www.w3.org/2000/svg";

function draw(parent, name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function fitted(text, pixels, character = 7.25) {
  const most = Math.max(0, Math.trunc(pixels / character));
  return text.length <= most ? text : most < 2 ? "" : text.slice(0, most - 1) + "…";
}

function momentText(at, span) {
  if (span < 100000) return String(at);
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (Math.abs(at) >= unit) { const amount = at / unit; return amount.toFixed(amount >= 100 ? 0 : amount >= 10 ? 1 : 2) + " " + name; }
  }
  return at + " ns";
}

function arrowHead(defs, id) {
  const marker = draw(defs, "marker", {id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 11, markerHeight: 11, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse"});
  draw(marker, "path", {d: "M0 0 L10 5 L0 10 z", class: "arrow-head"});
}

function badge(parent, x, y, number) {
  const group = draw(parent, "g", {class: "badge"});
  draw(group, "circle", {cx: x, cy: y, r: 8.5});
  draw(group, "text", {x, y: y + 4}, number);
  return group;
}

function element(parent, name, text, kind) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (kind) node.className = kind;
  parent.append(node);
  return node;
}

function placeTooltip(tip, event) {
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
  const above = event.clientY + 18 + box.height > innerHeight;
  tip.style.left = Math.max(8, left) + "px";
  tip.style.top = (above ? event.clientY - box.height - 12 : event.clientY + 18) + "px";
}

function otherTheme() {
  const root = document.documentElement, now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
}
