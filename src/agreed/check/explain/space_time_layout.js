// Which events there are, in which order, what may have caused what, and the line on which each stands.

const RECEIVED = 0, MARKED = 1, SENT = 2;  // at one instant in this order: a node answers when it hears
const LEFT = 92, TOP = 18;

// One event for each end of a message and each mark.  `before`: the events directly before it.
function eventsOf(data) {
  const lane = new Map(data.lanes.map((each, number) => [each.name, number]));
  const events = [];
  data.messages.forEach((message, number) => {
    const instant = message.received === message.sent;
    const sent = {at: message.sent, rank: SENT, part: number, lane: lane.get(message.source), message, number, end: "sent"};
    events.push(sent);
    if (message.received !== undefined && message.received !== null) {
      events.push({at: message.received, rank: instant ? SENT : RECEIVED, part: number + (instant ? 0.5 : 0), lane: lane.get(message.target), message, number, end: "received", sent});
    }
  });
  data.marks.forEach((mark, number) => {
    events.push({at: mark.at, rank: MARKED, part: number, lane: mark.lane === undefined ? null : lane.get(mark.lane), mark, number, end: "at"});
  });
  events.sort((a, b) => a.at - b.at || a.rank - b.rank || a.part - b.part);
  const last = new Map();
  events.forEach((event, number) => {
    event.place = number;
    event.before = [];
    const lanes = event.lane === null ? data.lanes.map((_, each) => each) : [event.lane];
    const watches = event.mark && event.mark.kind === "wrong";
    if (event.lane !== null || watches) for (const each of lanes) {
      if (last.has(each)) event.before.push(last.get(each));
      if (event.lane !== null) last.set(each, number);
    }
    if (event.sent) event.before.push(event.sent.place);
  });
  return events;
}

function causesOf(events, place) {
  const seen = new Set([place]), open = [place];
  while (open.length) for (const each of events[open.pop()].before) if (!seen.has(each)) { seen.add(each); open.push(each); }
  return seen;
}

function effectsOf(events, place) {
  const seen = new Set([place]);
  for (let i = place + 1; i < events.length; i++) if (events[i].before.some(each => seen.has(each))) seen.add(i);
  return seen;
}

// A line for each event that is shown; a receipt needs less of one, because its arrow carries its words elsewhere.
function linesOf(events, shown) {
  const y = new Map();
  let here = TOP, before = null;
  for (const event of events) {
    if (!shown(event)) continue;
    if (before) {
      const quiet = Math.min(10, 2 * Math.log2(1 + (event.at - before.at) / 1000));
      here += (event.end === "received" ? 9 : before.mark ? 25 : 19) + quiet;
    }
    y.set(event.place, here);
    before = event;
  }
  return {y, height: here + 50};
}

// Where on the page a moment lies that need not be an event: the end of a span.
function lineAt(events, y, moment, height) {
  let below = 0, above = height - 20;
  for (const event of events) {
    if (!y.has(event.place)) continue;
    if (event.at <= moment) below = y.get(event.place); else { above = y.get(event.place); break; }
  }
  return (below + above) / 2;
}
