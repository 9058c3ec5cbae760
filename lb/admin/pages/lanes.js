// The table of backends: a row is made once and then changed, and only so many are made.

import { $, attribute, el, text } from "./elements.js";
import { turned } from "./panels.js";
import { count, counted, figure, plain, seconds, share, span } from "./words.js";

const AT_FIRST = 40;
const ORDER = ["down", "ejected", "panic", "drain", "unknown", "maint", "up"];
const MOSAIC_FROM = 13;
/** So many that trouble would be overlooked in the order of the file. */
const MANY = 60;

/** One word for what colours it: as it stands, but for one that is used for want of others. */
const look = (backend) => (backend.panic ? "panic" : backend.state);

const SORTS = {
  file: null,
  trouble: (a, b) => ORDER.indexOf(a.look) - ORDER.indexOf(b.look) || b.lane.failing - a.lane.failing || b.lane.share - a.lane.share,
  share: (a, b) => b.lane.share - a.lane.share,
  latency: (a, b) => (b.lane.latency || 0) - (a.lane.latency || 0),
  flight: (a, b) => b.backend.connections - a.backend.connections,
  failing: (a, b) => b.lane.failing - a.lane.failing || b.backend.failed - a.backend.failed,
  name: (a, b) => a.backend.name.localeCompare(b.backend.name, "en", { numeric: true }),
};

function sparkline(past) {
  const values = past.filter((it) => it !== null && it !== undefined);
  if (values.length < 2) return "";
  const most = Math.max(...values) || 1;
  let path = "";
  past.forEach((value, i) => {
    if (value === null || value === undefined) return;
    const x = 72 - (past.length - 1 - i) * (72 / 59);
    path += `${path ? "L" : "M"}${x.toFixed(1)} ${(22.5 - (value / most) * 20).toFixed(1)}`;
  });
  return path;
}

function since(backend) {
  if (backend.state === "ejected" && backend.ejected_for !== null)
    return `${span(backend.ejected_for)} left, ${counted(backend.ejections, "ejection")}`;
  if (["drain", "maint"].includes(backend.state)) {
    const at = turned.get(backend.name);
    const rest = backend.connections ? `${count(backend.connections)} still in flight` : "empty";
    return at === undefined ? rest : `for ${span(Date.now() / 1000 - at)}, ${rest}`;
  }
  const words = backend.state === "up" ? "" : backend.reason || backend.change_reason;
  const when = backend.last_change === null ? "" : `for ${span(backend.last_change)}`;
  return [when, words].filter(Boolean).join(", ");
}

class Row {
  constructor(act, name) {
    const cells = {
      who: el("td", { class: "who" }, el("b"), el("small")),
      state: el("td", { class: "state" }),
      share: el("td", { class: "share", "data-label": "Share" }, el("span")),
      late: el("td", { class: "late-cell", "data-label": "Latency" }),
      flight: el("td", { class: "number", "data-label": "In flight" }, el("span")),
      failing: el("td", { class: "number", "data-label": "Failures" }, el("span")),
      ejections: el("td", { class: "number", "data-label": "Ejections" }, el("span")),
      checks: el("td", { class: "number", "data-label": "Checks" }, el("span"), el("small")),
      weight: el("td", { class: "number", "data-label": "Weight" }, el("span"), el("small")),
      acts: el("td", { class: "acts" }),
    };
    cells.state.append(el("div", {}, el("i", { class: "glyph" }), el("span", {}, el("b"), el("small"))));
    this.track = el("div", { class: "track" }, el("i"), el("u", { hidden: true }));
    cells.share.append(this.track);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    attribute(svg, "viewBox", "0 0 72 24");
    attribute(svg, "preserveAspectRatio", "none");
    attribute(svg, "aria-hidden", "true");
    this.path = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
    this.latency = el("span");
    cells.late.append(el("div", { class: "late" }, svg, this.latency));
    this.turn = el("button", { type: "button", onclick: () => act(name, this.turn.dataset.act) });
    this.more = el("button", { type: "button", "aria-haspopup": "dialog", onclick: () => act(name, "more") }, "More");
    attribute(this.more, "aria-label", `More about ${name}`);
    cells.acts.append(this.turn, this.more);
    this.cells = cells;
    this.element = el("tr", { "data-name": name }, ...Object.values(cells));
  }

  show({ backend, lane, look: state }, predicted, free) {
    const { who, flight, failing, ejections, checks, weight } = this.cells;
    const set = (cell, first, second) => {
      text(cell.children[0], first);
      if (second !== undefined) text(cell.children[1], second);
    };
    set(who, backend.name, [backend.address === backend.name ? "" : backend.address, backend.zone].filter(Boolean).join(" · "));
    attribute(this.element, "data-state", state);
    const [glyph, said] = this.cells.state.firstChild.children;
    attribute(glyph, "data-state", state);
    set(said, state === "panic" ? `${plain(backend.state)}, used in panic` : plain(backend.state), since(backend));
    const part = lane.share || 0;
    text(this.cells.share.children[0], `${share(lane.share)} · ${figure(lane.rate)}/s`);
    const [fill, mark] = this.track.children;
    fill.style.width = `${Math.min(part * free, 1) * 100}%`;
    mark.hidden = !predicted;
    if (predicted) mark.style.left = `${Math.min(predicted.share * free, 1) * 100}%`;
    attribute(this.track, "title", predicted ? `predicted ${share(predicted.share)}` : null);
    attribute(this.path, "d", sparkline(lane.past));
    text(this.latency, seconds(lane.latency));
    const most = backend.max_in_flight;
    set(flight, most === null ? count(backend.connections) : `${count(backend.connections)} / ${count(most)}`);
    set(failing, lane.failing ? `${figure(lane.failing)}/s` : count(backend.failed));
    failing.classList.toggle("some", lane.failing > 0);
    set(ejections, count(backend.ejections));
    set(checks, backend.checks_failed ? `${count(backend.checks - backend.checks_failed)} of ${count(backend.checks)}` : count(backend.checks),
      backend.last_health_check === null ? "none yet" : `${span(backend.last_health_check)} ago`);
    const slow = Math.abs(backend.effective_weight - backend.weight) > 1e-9;
    set(weight, figure(backend.weight), slow ? `in effect ${figure(backend.effective_weight)}` : "");
    const out = ["drain", "maint"].includes(backend.state);
    text(this.turn, out ? "Bring up" : "Drain");
    attribute(this.turn, "data-act", out ? "up" : "drain");
    attribute(this.turn, "aria-label", `${this.turn.textContent} ${backend.name}`);
  }
}

export class Lanes {
  /** `act(name, what)` is called for each button: "drain", "up" or "more". */
  constructor(act) {
    this.act = act;
    this.rows = new Map();
    this.limit = AT_FIRST;
    this.only = null;
    this.items = [];
    const again = () => {
      this.limit = AT_FIRST;
      this.draw();
    };
    $("filter").addEventListener("input", again);
    $("order").addEventListener("change", again);
    $("more").querySelector("button").addEventListener("click", () => {
      this.limit += 100;
      this.draw();
    });
    new ResizeObserver(() => this.#mosaic()).observe($("backends"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#mosaic());
  }

  show(backends, lanes, predicted) {
    if (!this.items.length && backends.length > MANY) $("order").value = "trouble";
    this.predicted = new Map((predicted || []).map((it) => [it.name, it]));
    this.items = backends.map((backend) => ({ backend, look: look(backend), lane: lanes.get(backend.name) }));
    this.draw();
  }

  draw() {
    this.#chips();
    const wanted = $("filter").value.trim().toLowerCase();
    let chosen = this.items.filter(
      (it) =>
        (!this.only || it.look === this.only) &&
        (!wanted || [it.backend.name, it.backend.address, it.backend.zone, it.backend.reason].join("\n").toLowerCase().includes(wanted)),
    );
    const sort = SORTS[$("order").value];
    if (sort) chosen = [...chosen].sort(sort);
    const shown = chosen.slice(0, this.limit);
    const names = new Set(shown.map((it) => it.backend.name));
    for (const [name, row] of this.rows)
      if (!names.has(name)) {
        row.element.remove();
        this.rows.delete(name);
      }
    const biggest = Math.max(...this.items.map((it) => it.lane.share || 0), 0);
    const free = biggest > 0 && this.items.length > 1 ? Math.min(0.9 / biggest, 1e4) : 1;
    let place = $("lanes").firstElementChild;
    if (place?.className === "lone") {
      place.remove();
      place = $("lanes").firstElementChild;
    }
    for (const item of shown) {
      const { name } = item.backend;
      let row = this.rows.get(name);
      if (!row) this.rows.set(name, (row = new Row(this.act, name)));
      row.show(item, this.predicted.get(name), free);
      if (row.element === place) place = place.nextElementSibling;
      else $("lanes").insertBefore(row.element, place);
    }
    if (!shown.length)
      $("lanes").append(el("tr", { class: "lone" }, el("td", { class: "nobody", colspan: "10" }, this.items.length ? "None is like that" : "No backends")));
    $("more").hidden = chosen.length <= this.limit;
    text($("more").firstElementChild, `${count(shown.length)} of ${counted(chosen.length, "backend")}`);
    this.#mosaic();
  }

  #chips() {
    const tally = {};
    for (const { look: state } of this.items) tally[state] = (tally[state] || 0) + 1;
    if (this.only && !tally[this.only]) this.only = null;
    const key = JSON.stringify([tally, this.only]);
    if (key === this.told) return;
    this.told = key;
    const focus = document.activeElement?.dataset?.chip;
    const chips = ORDER.toReversed().filter((state) => tally[state]).map((state) => {
      const press = () => {
        this.only = this.only === state ? null : state;
        this.limit = AT_FIRST;
        this.draw();
      };
      const chip = el("button", { type: "button", "data-chip": state, "aria-pressed": String(this.only === state), onclick: press });
      chip.append(el("i", { class: "glyph", "data-state": state }), `${count(tally[state])} ${plain(state)}`);
      return chip;
    });
    $("states").replaceChildren(...chips);
    if (focus) $("states").querySelector(`[data-chip="${focus}"]`)?.focus();
  }

  /** All of them at a glance, a tile each. */
  #mosaic() {
    const canvas = $("mosaic");
    canvas.hidden = this.items.length < MOSAIC_FROM;
    if (canvas.hidden) return;
    const wide = canvas.clientWidth;
    const side = this.items.length > 400 ? 9 : this.items.length > 100 ? 12 : 18;
    const across = Math.max(Math.floor(wide / side), 1);
    const high = Math.ceil(this.items.length / across) * side;
    const ratio = devicePixelRatio || 1;
    canvas.width = wide * ratio;
    canvas.height = high * ratio;
    canvas.style.height = `${high}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const tint = (name) => style.getPropertyValue(`--${name}`).trim();
    const tints = { up: tint("good"), down: tint("bad"), drain: tint("warn"), ejected: tint("warn"), panic: tint("warn") };
    const idle = tint("idle");
    const most = Math.max(...this.items.map((it) => it.lane.share || 0)) || 1;
    this.items.forEach(({ look: state, lane }, i) => {
      pen.fillStyle = tints[state] || idle;
      pen.globalAlpha = state === "up" ? 0.35 + 0.65 * ((lane.share || 0) / most) : 1;
      pen.beginPath();
      pen.roundRect((i % across) * side, Math.floor(i / across) * side, side - 2, side - 2, 2);
      pen.fill();
    });
  }
}
