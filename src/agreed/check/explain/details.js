// What is said of one operation: in a sentence for ears, beside the pointer, and at length when it is pinned.

const KNOWN = {
  ok: "It happened, and this is what its client was told.",
  fail: "It surely did not happen.",
  info: "Nobody knows whether it happened: it was never answered, so it may take effect at any time after its call, or never.",
};

function rankOf(page, place) {
  const order = page.order;
  return order ? order.operations.indexOf(place) : -1;
}

function spoken(page, place) {
  const {data} = page, operation = data.operations[place];
  const parts = [`${data.lanes[operation.lane]}: ${operation.label}`];
  parts.push(operation.status === "ok" ? "happened" : operation.status === "fail" ? "failed" : "never answered");
  const rank = rankOf(page, place);
  if (rank >= 0) parts.push(`number ${rank + 1} of the order`);
  if (page.plan && page.plan.stuck.has(place)) parts.push("cannot be next");
  return parts.join(", ");
}

function statesAround(page, place) {
  const order = page.order, rank = rankOf(page, place);
  if (!order || !order.states || !order.states.length) return null;
  if (rank >= 0) return {before: rank ? order.states[rank - 1] : null, after: order.states[rank]};
  if (page.plan.stuck.has(place)) return {before: order.states[order.states.length - 1], after: null};
  return null;
}

function showTooltip(page, event, target) {
  const tip = document.getElementById("tooltip");
  tip.replaceChildren();
  if (target.dataset.place !== undefined) {
    const place = Number(target.dataset.place), operation = page.data.operations[place];
    element(tip, "b", operation.label);
    const span = page.data.span, until = operation.returned ?? null;
    element(tip, "span", `${page.data.lanes[operation.lane]}, #${operation.index}, ` + momentText(operation.called, span) +
      (until === null ? ", never answered" : " – " + momentText(until, span)));
    const states = statesAround(page, place);
    if (states && states.before !== null) element(tip, "span", "before: " + states.before);
    if (states && states.after !== null) element(tip, "span", "after: " + states.after);
    if (page.plan.stuck.has(place)) element(tip, "span", "cannot be next");
  } else if (target.dataset.fault !== undefined) {
    const fault = page.data.faults[Number(target.dataset.fault)], span = page.data.span;
    element(tip, "b", fault.name);
    element(tip, "span", momentText(fault.began, span) + " – " + (fault.goes_on ? "the end" : momentText(fault.ended, span)));
    if (fault.detail) element(tip, "span", fault.detail);
  } else if (target.dataset.state !== undefined) {
    element(tip, "span", "state: " + page.plan.states[Number(target.dataset.state)].text);
  }
  placeTooltip(tip, event);
}

function showDetails(page) {
  const box = document.getElementById("details"), {data} = page;
  box.replaceChildren();
  const place = page.pinned ?? page.active;
  if (place === null) { element(box, "p", "Point at an operation, or click to keep it here.", "hint"); return; }
  const operation = data.operations[place], span = data.span;
  element(box, "h3", operation.label);
  element(box, "p", KNOWN[operation.status], "sentence");
  const list = element(box, "dl");
  const row = (name, value, kind) => { if (value !== undefined && value !== null && value !== "") { element(list, "dt", name); element(list, "dd", value, kind); } };
  row("by", data.lanes[operation.lane]);
  row("number", "#" + operation.index);
  row("key", operation.key);
  row("argument", operation.argument, "code");
  row("result", operation.result, "code");
  row("error", operation.error);
  row("revision", operation.revision);
  row("called", momentText(operation.called, span));
  if (operation.returned !== undefined) {
    row("returned", momentText(operation.returned, span) + (span >= 100000 ? ` (after ${momentText(operation.returned - operation.called, span)})` : ""));
  }
  const rank = rankOf(page, place), states = statesAround(page, place);
  if (rank >= 0) row("in the order", `${rank + 1} of ${page.order.operations.length}`);
  if (states) { row("state before", states.before, "code"); row("state after", states.after, "code"); }
  if (page.plan.stuck.has(place)) {
    element(box, "p", "This is where the order gets stuck: it would have to take effect by now, and it does not fit.", "verdict-line");
  } else if (page.order && rank < 0 && operation.status !== "fail" && page.order.stuck && page.order.stuck.length) {
    element(box, "p", "Not in this order: the order gets stuck before it.", "sentence");
  }
  if (rank >= 0) {
    const moves = element(box, "div", undefined, "moves");
    for (const [name, step] of [["‹ before it in the order", -1], ["after it ›", 1]]) {
      const button = element(moves, "button", name);
      const target = page.order.operations[rank + step];
      button.disabled = target === undefined || !page.plan.bars.has(target);
      button.onclick = () => page.pin(target);
    }
  }
}
