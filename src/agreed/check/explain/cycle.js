// Findings that are a matter of arrows: each operation a card, the cards in a ring, each arrow numbered like
// the sentence that gives its reason.

const CARD_WIDE = 224, CARD_LINE = 15;

function paintCycle(page, finding) {
  const box = document.getElementById("cycle");
  box.replaceChildren();
  if (!finding || !finding.arrows || !finding.arrows.length) return;
  const places = [...new Set(finding.arrows.flatMap(arrow => [arrow.source, arrow.target]))], cards = new Map();
  const witnesses = finding.operations.filter(place => !places.includes(place));
  const lines = new Map([...places, ...witnesses].map(place => [place, wrapped(cardText(page.data.operations[place]), 28, 5)]));
  const tall = Math.max(...[...lines.values()].map(each => each.length)) * CARD_LINE + 28;
  const count = places.length, flat = count <= 3;
  const radiusX = flat ? 190 : Math.max(230, count * 50), radiusY = count === 2 ? 0 : Math.max(tall * 1.3, count * 34);
  const inRow = Math.max(1, Math.trunc((2 * radiusX + CARD_WIDE + 24) / (CARD_WIDE + 12)));
  const wide = 2 * radiusX + CARD_WIDE + 24, high = (count === 2 ? tall + 200 : 2 * radiusY + tall + 50);
  const below = Math.ceil(witnesses.length / inRow) * (tall + 12);
  const svg = draw(box, "svg", {width: wide, height: high + below, viewBox: `0 0 ${wide} ${high + below}`, role: "img", "aria-label": finding.name + ", drawn as a ring of arrows"});
  arrowHead(draw(svg, "defs"), "ring-head");
  places.forEach((place, i) => {
    const turn = -Math.PI / 2 + 2 * Math.PI * i / count + (count === 2 ? -Math.PI / 2 : 0);
    cards.set(place, {x: wide / 2 + radiusX * Math.cos(turn), y: high / 2 + radiusY * Math.sin(turn)});
  });
  // Those that are no part of the ring, but show that an arrow is there, stand below it.
  witnesses.forEach((place, i) => {
    const row = Math.min(inRow, witnesses.length - Math.trunc(i / inRow) * inRow);
    cards.set(place, {x: wide / 2 + (i % inRow - (row - 1) / 2) * (CARD_WIDE + 12), y: high + tall / 2 + Math.trunc(i / inRow) * (tall + 12) - 6, aside: true});
  });
  const arrows = draw(svg, "g");
  for (const [place, card] of cards) paintCard(svg, page, place, card, lines.get(place), tall, finding.names || {});
  finding.arrows.forEach((arrow, number) => {
    const a = cards.get(arrow.source), b = cards.get(arrow.target);
    const mutual = finding.arrows.some(other => other.source === arrow.target && other.target === arrow.source);
    paintRingArrow(arrows, svg, page, a, b, tall, number, arrow, mutual, {x: wide / 2, y: high / 2});
  });
}

function cardText(operation) {
  if (operation.label.endsWith("…") && operation.result) return operation.function + " " + operation.result;
  return operation.label;
}

function wrapped(text, most, lines) {
  const words = text.split(" "), out = [""];
  for (let word of words) {
    while (word.length > most) { out.push(word.slice(0, most)); word = word.slice(most); }
    const last = out[out.length - 1];
    if (last && (last + " " + word).length > most) out.push(word); else out[out.length - 1] = last ? last + " " + word : word;
  }
  const kept = out.filter(Boolean);
  return kept.length <= lines ? kept : [...kept.slice(0, lines - 1), kept[lines - 1].slice(0, most - 1) + "…"];
}

function paintCard(svg, page, place, card, lines, tall, names) {
  const operation = page.data.operations[place];
  const group = draw(svg, "g", {class: card.aside ? "card aside" : "card", tabindex: 0, role: "button", "data-place": place, "aria-label": spoken(page, place)});
  draw(group, "rect", {x: card.x - CARD_WIDE / 2, y: card.y - tall / 2, width: CARD_WIDE, height: tall, rx: 8});
  draw(group, "text", {x: card.x - CARD_WIDE / 2 + 10, y: card.y - tall / 2 + 16, class: "who"}, [names[place], page.data.lanes[operation.lane], "#" + operation.index].filter(Boolean).join(" · "));
  lines.forEach((line, i) => draw(group, "text", {x: card.x - CARD_WIDE / 2 + 10, y: card.y - tall / 2 + 33 + i * CARD_LINE}, line));
}

// From the edge of one card to the edge of the other, bent outwards where two arrows join the same two cards.
function paintRingArrow(under, over, page, a, b, tall, number, arrow, mutual, centre) {
  const dx = b.x - a.x, dy = b.y - a.y, long = Math.hypot(dx, dy) || 1;
  const bend = mutual ? 0.34 : 0.1;
  const middle = {x: (a.x + b.x) / 2 + dy * bend, y: (a.y + b.y) / 2 - dx * bend};
  const start = edge(a, middle, tall), end = edge(b, middle, tall);
  const path = draw(under, "path", {
    d: `M${start.x} ${start.y} Q${middle.x} ${middle.y} ${end.x} ${end.y}`,
    class: "arrow" + (page.lit === number ? " lit" : ""), "data-arrow": number, "marker-end": "url(#ring-head)",
  });
  const half = path.getPointAtLength(path.getTotalLength() / 2);
  const group = badge(over, half.x, half.y, (arrow.step ?? number) + 1);
  const right = half.x > centre.x + 24, left = half.x < centre.x - 24;
  draw(group, "text", {
    x: half.x + (right ? 14 : left ? -14 : 0), y: half.y + (right || left ? 4 : half.y < centre.y ? -14 : 23),
    class: "kind", style: `text-anchor:${right ? "start" : left ? "end" : "middle"}`,
  }, arrow.kind);
}

function edge(card, towards, tall) {
  const dx = towards.x - card.x, dy = towards.y - card.y;
  const reach = Math.min((CARD_WIDE / 2 + 4) / (Math.abs(dx) || 1e-9), (tall / 2 + 4) / (Math.abs(dy) || 1e-9));
  return {x: card.x + dx * reach, y: card.y + dy * reach};
}
