// Where everything comes to stand.  Time is compressed: what counts is what overlapped what, so each call,
// return and point has a slot of its own, and a long silence takes hardly more than a short one.

const AXIS = 26, FAULT = 20, STATE = 34, CHARACTER = 7.25, MARGIN = 18;
const CALL = 0, POINT = 1, RETURN = 2;  // at one instant in this order: intervals are closed

function layOut(data, view, trueTime) {
  const events = [];
  const shown = view.operations.map(place => data.operations[place]);
  const began = Math.min(...shown.map(bar => bar.called));
  const ended = Math.max(...shown.map(bar => bar.returned ?? bar.called));
  for (const place of view.operations) {
    const bar = data.operations[place];
    events.push({at: bar.called, rank: CALL, sequence: 0, place});
    if (bar.returned != null) events.push({at: bar.returned, rank: RETURN, sequence: 0, place});
  }
  view.points.forEach((point, sequence) => events.push({at: point.at, rank: POINT, sequence, point}));
  const faults = data.faults.filter(fault => fault.ended >= began && fault.began <= ended);
  faults.forEach(fault => {
    events.push({at: Math.max(fault.began, began), rank: CALL, sequence: -1, begins: fault});
    events.push({at: Math.min(fault.ended, ended), rank: RETURN, sequence: 1, ends: fault});
  });
  events.sort((a, b) => a.at - b.at || a.rank - b.rank || a.sequence - b.sequence);
  const x = trueTime ? inTrueTime(events, began, ended) : inSlots(data, events);
  return assemble(data, view, events, x);
}

function inSlots(data, events) {
  const steps = [];
  for (let i = 1; i < events.length; i++) if (events[i].at > events[i - 1].at) steps.push(events[i].at - events[i - 1].at);
  steps.sort((a, b) => a - b);
  const usual = steps[steps.length >> 1] || 1;
  const calledAt = new Map(), x = [];
  let here = MARGIN, before = null;
  for (const event of events) {
    if (before) {
      const apart = event.at - before.at;
      const same = apart === 0 && event.rank === before.rank && event.rank !== POINT;
      here += same ? 0 : apart === 0 ? 14 : 14 + Math.min(34, 10 * Math.log2(1 + apart / usual));
    }
    if (event.rank === RETURN && event.place !== undefined) {
      const label = Math.min(data.operations[event.place].label.length, 24) * CHARACTER + 16;
      here = Math.max(here, calledAt.get(event.place) + label);
    }
    if (event.rank === CALL && event.place !== undefined) calledAt.set(event.place, here);
    x.push(here);
    before = event;
  }
  return x;
}

function inTrueTime(events, began, ended) {
  const width = Math.max(900, events.length * 16), span = Math.max(ended - began, 1);
  return events.map(event => MARGIN + (event.at - began) / span * width);
}

function assemble(data, view, events, x) {
  const bars = new Map(), points = [], bands = new Map(), ticks = [];
  events.forEach((event, i) => {
    if (event.point) points.push({...event.point, x: x[i]});
    else if (event.begins) bands.set(event.begins, {fault: event.begins, from: x[i], to: x[i]});
    else if (event.ends) bands.get(event.ends).to = x[i];
    else if (event.rank === CALL) bars.set(event.place, {place: event.place, from: x[i], to: null});
    else bars.get(event.place).to = x[i];
    if (!event.point) ticks.push({x: x[i], at: event.at});
  });
  const openLabels = [...bars.values()].filter(bar => bar.to === null)
    .map(bar => bar.from + Math.min(data.operations[bar.place].label.length, 24) * CHARACTER + 40);
  const longest = Math.max(...openLabels, 60);
  const width = Math.max(x[x.length - 1], longest) + MARGIN + (view.stuck.size && view.states ? 150 : 20);
  for (const each of bars.values()) if (each.to === null) { each.to = width - 4; each.open = true; }
  const lanes = [...new Set(view.operations.map(place => data.operations[place].lane))].sort((a, b) => a - b);
  const faultRows = stack([...bands.values()]);
  const top = AXIS + faultRows * FAULT + (faultRows ? 6 : 0);
  const tight = lanes.length > 14, bar = tight ? 20 : 25, apart = view.arrows ? 64 : tight ? 34 : 46;
  const row = new Map(lanes.map((lane, number) => [lane, top + number * apart + 8]));
  for (const each of bars.values()) each.y = row.get(data.operations[each.place].lane);
  points.sort((a, b) => a.number - b.number);
  for (const point of points) point.y = bars.get(point.place)?.y;
  const states = view.states ? stateChips(points, width) : [];
  const bottom = top + lanes.length * apart + 2;
  return {bars, bar, points, bands: [...bands.values()], ticks, lanes, row, states, bottom, width,
          height: bottom + (states.length ? STATE : 8), stuck: view.stuck};
}

// Bands that overlap get a line each.
function stack(bands) {
  const free = [];
  for (const band of bands) {
    const needs = Math.max(band.to, band.from + (band.fault.name.length + 2) * 7);
    let line = free.findIndex(until => until <= band.from);
    if (line < 0) line = free.length;
    free[line] = needs + 4;
    band.line = line;
  }
  return free.length;
}

// The state between one point and the next; neighbours that are alike are one chip.
function stateChips(points, width) {
  const chips = [];
  points.forEach((point, i) => {
    const until = i + 1 < points.length ? points[i + 1].x : Math.min(point.x + 90, width);
    const last = chips[chips.length - 1];
    if (last && last.text === point.state && point.state) last.to = until;
    else if (point.state) chips.push({from: point.x, to: until, text: point.state});
  });
  return chips;
}

// The layout at another size: places move, letters do not grow.
function scaled(plan, zoom) {
  const to = x => x * zoom;
  return {
    ...plan, width: plan.width * zoom,
    bars: new Map([...plan.bars].map(([place, bar]) => [place, {...bar, from: to(bar.from), to: to(bar.to)}])),
    points: plan.points.map(point => ({...point, x: to(point.x)})),
    bands: plan.bands.map(band => ({...band, from: to(band.from), to: to(band.to)})),
    ticks: plan.ticks.map(tick => ({...tick, x: to(tick.x)})),
    states: plan.states.map(chip => ({...chip, from: to(chip.from), to: to(chip.to)})),
  };
}
