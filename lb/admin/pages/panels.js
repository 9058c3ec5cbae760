// Everything on the page but charts and lanes.

import { $, el, text } from "./elements.js";
import { count, counted, figure, parts, plain, seconds, share, span } from "./words.js";

const TILES = [
  ["rate", "Requests/s", "main"],
  ["p50", "p50", "p50"],
  ["p95", "p95", "p95"],
  ["p99", "p99", "p99"],
  ["failing", "Errors/s", "bad"],
  ["inFlight", "In flight", "main"],
  ["waiting", "Waiting in line", "wait"],
];

export class Tiles {
  constructor() {
    this.cells = {};
    for (const [key, name, tint] of TILES) {
      const value = el("dd", {}, "–");
      const beside = el("dd", { class: "beside" });
      const swatch = el("i");
      swatch.style.setProperty("--tint", `var(--${tint})`);
      const tile = el("div", { id: `tile-${key}` }, el("dt", {}, swatch, name), value, beside);
      this.cells[key] = { tile, value, beside };
      $("tiles").append(tile);
    }
  }

  show(point, snapshot, forecast) {
    const set = (key, value, unit, beside, off = false) => {
      const cell = this.cells[key];
      const whole = `${value}\u0000${unit}`;
      if (cell.told !== whole) {
        cell.told = whole;
        cell.value.replaceChildren(value, ...(unit ? [el("small", {}, unit)] : []));
      }
      text(cell.beside, beside);
      cell.beside.classList.toggle("off", off);
    };
    const extra = [];
    if (point?.retries > 0) extra.push(`${figure(point.retries)} retries/s`);
    if (point?.hedges > 0) extra.push(`${figure(point.hedges)} hedges/s`);
    set("rate", figure(point?.rate), "", extra.join(", ") || `${count(snapshot.requests)} in all`);
    for (const key of ["p50", "p95", "p99"]) {
      const band = forecast?.latency?.[key];
      const value = point?.[key];
      const off = band && value !== null && value !== undefined && (value < band.low || value > band.high);
      const few = point?.answered && value === null ? "too few answers" : "";
      const predicted = few ? few : band ? `${off ? (value > band.high ? "above" : "below") + " " : "in "}${range(band)}` : "";
      set(key, ...parts(value), predicted, Boolean(off));
    }
    const kinds = Object.entries(point?.errors || {}).sort((a, b) => b[1] - a[1]);
    const part = point?.rate ? point.failing / point.rate : 0;
    set("failing", figure(point?.failing), "", kinds.length ? `${share(part)}, ${kinds.map(([kind]) => plain(kind)).join(", ")}` : "none");
    this.cells.failing.tile.classList.toggle("bad", point?.failing > 0);
    const most = snapshot.backends.reduce((sum, it) => (it.max_in_flight === null ? NaN : sum + it.max_in_flight), 0);
    set("inFlight", count(point?.inFlight ?? 0), "", Number.isNaN(most) ? "" : `of ${count(most)}`);
    set("waiting", count(snapshot.waiting), "", snapshot.shedding ? `${share(snapshot.shedding)} refused: loop late` : "");
  }
}

const range = ({ low, high }) => {
  const [a, unit] = parts(low);
  const [b, other] = parts(high);
  return unit === other ? `${a}–${b} ${b === "–" ? "" : unit}` : `${a} ${unit}–${b} ${other}`;
};

/** Whether it serves, in a word on top, and in a line below where it does not as it should. */
export function standing(snapshot) {
  const all = snapshot.backends.length;
  const usable = snapshot.backends.filter((it) => it.usable && !it.panic).length;
  const state = snapshot.panic ? "panic" : !usable ? "down" : usable < all ? "drain" : "up";
  $("standing").firstElementChild.dataset.state = state;
  text($("standing").lastElementChild, usable === all ? `All ${count(all)} usable` : `${count(usable)} of ${count(all)} usable`);
  let why = "";
  if (snapshot.panic)
    why = `Panic: ${usable ? `only ${count(usable)} of ${count(all)} backends are` : "no backend is"} usable, so those that are down are used as well.`;
  else if (!usable) why = `No backend is usable: every request is answered 503. ${reasons(snapshot.backends)}`;
  return { why, mild: snapshot.panic && usable > 0 };
}

function reasons(backends) {
  const tally = new Map();
  for (const { reason, state } of backends) {
    const said = state === "drain" || state === "maint" ? plain(state) : reason || plain(state);
    tally.set(said, (tally.get(said) || 0) + 1);
  }
  const most = [...tally].sort((a, b) => b[1] - a[1]).slice(0, 3);
  return most.map(([said, n]) => `${counted(n, "backend")}: ${said}`).join("; ");
}

export function algorithm({ algorithm: name, settings }) {
  const said = Object.entries(settings || {}).map(([key, value]) => `${key} ${value}`);
  $("algorithm").disabled = false;
  text($("algorithm").lastElementChild, said.length ? `${name} · ${said.join(", ")}` : name);
}

export function workers(snapshot, point, before, elapsed, now) {
  const old = new Map((before?.workers || []).map((it) => [it.pid, it]));
  const rows = snapshot.workers.map((it) => {
    const then = old.get(it.pid);
    const rate = then && elapsed ? figure((it.requests - then.requests) / elapsed) : "–";
    const cells = [it.pid, span(now - it.started_at), count(it.clients), rate, seconds(it.loop_lag), count(it.descriptors)];
    return el("tr", {}, ...cells.map((cell) => el("td", {}, String(cell))));
  });
  $("workers").replaceChildren(...rows);
  const errors = Object.entries(snapshot.traffic.outcomes).filter(([kind]) => kind !== "ok");
  const books = [
    ["Requests", count(snapshot.requests)],
    ...errors.map(([kind, n]) => [
      `Errors: ${plain(kind)}`,
      point?.errors[kind] ? `${figure(point.errors[kind])}/s, ${count(n)}` : count(n),
    ]),
    ["Retries", count(snapshot.retried)],
    ["Hedges, won", `${count(snapshot.hedged)}, ${count(snapshot.hedges_won)}`],
    ["Turned away", count(snapshot.turned_away)],
    ["Left the line", count(snapshot.left_line)],
    ["Ejections withheld", count(snapshot.ejections_withheld)],
    ["Build", snapshot.build],
  ];
  $("books").replaceChildren(...books.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const SHOWN = 200;
const STATES = ["up", "drain", "maint"];
/** When an operator has last changed the state of a backend, by its name: seconds since 1970. */
export const turned = new Map();
let newest = { number: 0, time: 0 };

/** One line more; one that was told before the stream broke is not told again. */
export function happened(event) {
  const list = $("events");
  if (event.number <= newest.number && event.time <= newest.time) return;
  newest = event;
  const { change, backend } = event.fields || {};
  if (event.event === "control" && STATES.includes(change)) turned.set(backend, event.time);
  const when = new Date(event.time * 1000);
  const fields = Object.entries(event.fields || {}).map(([key, value]) => `${plain(key)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const line = el("li", { class: event.level, "data-number": String(event.number) });
  line.append(
    el("time", { datetime: when.toISOString() }, when.toLocaleTimeString([], { hour12: false })),
    el("i"),
    el("div", {}, el("b", {}, event.event), el("span", {}, fields.length ? ` ${fields.join(" · ")}` : "")),
  );
  const atTop = list.scrollTop < 4;
  list.prepend(line);
  if (atTop) list.scrollTop = 0;
  while (list.children.length > SHOWN) list.lastElementChild.remove();
}

/** Which prediction the bands are of. */
export function predicted(forecast, rate) {
  const line = $("forecast");
  line.hidden = !forecast || forecast.state === "none";
  if (line.hidden) return;
  if (forecast.state !== "ready") {
    text(line, forecast.state === "working" ? "A prediction is being simulated." : `No prediction: ${forecast.reason}`);
    return;
  }
  const where = forecast.live ? `at the live rate of ${figure(forecast.rate)}/s` : `at the file's rate of ${figure(forecast.rate)}/s`;
  const aside = !forecast.live && rate && Math.abs(rate / forecast.rate - 1) > 0.1 ? `; live it is ${figure(rate)}/s` : "";
  line.replaceChildren(
    el("b", {}, "Bands"),
    ` are what the simulator predicts for ${forecast.algorithm} over ${counted(forecast.backends.length, "backend")} ${where}${aside}: 95 of 100 windows of ${forecast.window} s fall inside. Ticks in the lanes are predicted shares.`,
  );
}
