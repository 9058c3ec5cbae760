// One chart over time on a canvas: lines, what is under one, and bands of what was predicted.

const GAP = { top: 14, right: 2, bottom: 18, left: 2 };
/** Seconds that are shown: as few as hold what there is. */
const SPANS = [60, 120, 180, 300];
const FONT = "11px Inter, system-ui, sans-serif";

/** About `n` steps from zero to `most` in ones, twos and fives. */
function steps(most, n = 4) {
  const rough = most / n || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((it) => it * power).find((it) => it >= rough * 0.999);
  const found = [];
  for (let at = step; at <= most * 1.0001; at += step) found.push(at);
  return found;
}

export class Chart {
  /** `lines`: {key, name, tint, filled}; `written` says a value; `least` is the top of an idle one. */
  constructor(figure, { lines, written, least = 1 }) {
    Object.assign(this, { figure, lines, written, least });
    this.span = SPANS[0];
    this.points = [];
    this.bands = [];
    this.at = null;
    this.most = least;
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.values = new Map();
    for (const line of lines) this.legend.append(this.#entry(line));
    figure.querySelector("figcaption").append(this.legend);
    const plot = document.createElement("div");
    plot.className = "plot";
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.empty = document.createElement("p");
    this.empty.textContent = "Nothing to show yet";
    plot.append(this.canvas, this.empty);
    figure.append(plot);
    this.#listen();
  }

  #entry(line) {
    const entry = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.setProperty("--tint", `var(--${line.tint})`);
    const value = document.createElement("b");
    entry.append(swatch, line.name, value);
    this.values.set(line.key, value);
    return entry;
  }

  #listen() {
    const look = (x) => {
      const box = this.canvas.getBoundingClientRect();
      const width = box.width - GAP.left - GAP.right;
      const back = (1 - (x - box.left - GAP.left) / width) * this.span;
      this.at = Math.min(Math.max(back, 0), this.span);
      this.draw();
    };
    const leave = () => {
      this.at = null;
      this.draw();
    };
    this.canvas.addEventListener("pointermove", (event) => look(event.clientX));
    this.canvas.addEventListener("pointerleave", leave);
    this.canvas.addEventListener("blur", leave);
    this.canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: 2, ArrowRight: -2, PageUp: 30, PageDown: -30 }[event.key];
      if (event.key === "Escape") leave();
      if (!move) return;
      event.preventDefault();
      this.at = Math.min(Math.max((this.at ?? 0) + move, 0), this.span);
      this.draw();
      this.#say();
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
      matchMedia(query).addEventListener("change", () => this.draw());
  }

  /** New points up to `now`; `bands` are {since, bands: {key: [low, high]}}, oldest first. */
  show(points, now, bands = []) {
    Object.assign(this, { points, now, bands });
    const past = points.length ? now - points[0].time : 0;
    this.span = SPANS.find((it) => it >= past) || SPANS.at(-1);
    this.draw();
    if (document.activeElement !== this.canvas) this.#say();
  }

  #say() {
    const point = this.#chosen();
    const values = this.lines.map((line) => `${line.name} ${this.written(point?.[line.key])}`);
    const when = this.at === null ? "now" : `${Math.round(this.at)} seconds ago`;
    const title = this.figure.querySelector("h2").textContent;
    this.canvas.setAttribute("aria-label", `${title}, ${when}: ${values.join(", ")}`);
  }

  #chosen() {
    if (this.at === null) return this.points.at(-1);
    const wanted = this.now - this.at;
    let best = null;
    for (const point of this.points)
      if (!best || Math.abs(point.time - wanted) < Math.abs(best.time - wanted)) best = point;
    return best && Math.abs(best.time - wanted) < 6 ? best : null;
  }

  draw() {
    const { canvas } = this;
    const { clientWidth: wide, clientHeight: high } = canvas;
    if (!wide || !high || this.now === undefined) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
    }
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, high);
    pen.font = FONT;
    const shown = this.points.filter((point) => point.time >= this.now - this.span - 5);
    this.#scale(shown);
    const some = (point) => this.lines.some(({ key }) => Number.isFinite(point[key]));
    this.empty.hidden = this.#drawn().length > 0 || shown.some(some);
    const frame = {
      x: (time) => wide - GAP.right - ((this.now - time) / this.span) * (wide - GAP.left - GAP.right),
      y: (value) => high - GAP.bottom - (value / this.most) * (high - GAP.top - GAP.bottom),
      wide,
      high,
    };
    this.#bands(pen, frame, colour);
    this.#grid(pen, frame, colour);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, wide, high - GAP.bottom + 1);
    pen.clip();
    for (const line of this.lines) this.#line(pen, frame, colour, line, shown);
    pen.restore();
    this.#cross(pen, frame, colour);
    const point = this.#chosen();
    for (const line of this.lines)
      this.values.get(line.key).textContent = this.written(point?.[line.key]);
  }

  #scale(shown) {
    let most = this.least;
    for (const point of shown)
      for (const { key } of this.lines) if (point[key] > most) most = point[key];
    for (const { band } of this.#drawn()) if (band[1] > most) most = band[1];
    const last = steps(most * 1.06).at(-1);
    this.most = Math.max(last, most * 1.06);
  }

  /** Each band that reaches into the picture: of which line, and from when to when. */
  #drawn() {
    const first = this.now - this.span;
    return this.bands.flatMap(({ since, bands }, i) => {
      const until = Math.min(this.bands[i + 1]?.since ?? this.now, this.now);
      if (until <= first) return [];
      const of = (line) => ({ line, band: bands[line.key], from: Math.max(since, first), until });
      return this.lines.map(of).filter(({ band }) => band);
    });
  }

  #bands(pen, { x, y }, colour) {
    const faint = Number(colour("band"));
    for (const { line, band, from, until } of this.#drawn()) {
      const [low, high] = [y(band[0]), y(band[1])];
      const [left, wide] = [x(from), Math.max(x(until) - x(from), 1)];
      pen.fillStyle = colour(line.tint);
      pen.globalAlpha = faint;
      pen.fillRect(left, high, wide, Math.max(low - high, 2));
      pen.globalAlpha = faint * 2.4;
      pen.fillRect(left, high, wide, 1);
      pen.fillRect(left, Math.max(low, high + 2) - 1, wide, 1);
    }
    pen.globalAlpha = 1;
  }

  #grid(pen, { x, y, wide, high }, colour) {
    pen.strokeStyle = colour("line");
    pen.lineWidth = 1;
    pen.fillStyle = colour("faint");
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    const few = high < 190 ? 3 : 5;
    for (const value of [0, ...steps(this.most, few)]) {
      const at = Math.round(y(value)) + 0.5;
      if (value && at < GAP.top - 8) continue;
      pen.beginPath();
      pen.moveTo(GAP.left, at);
      pen.lineTo(wide - GAP.right, at);
      pen.stroke();
      if (value && this.empty.hidden) pen.fillText(this.written(value), GAP.left, at - 2);
    }
    pen.textBaseline = "alphabetic";
    const every = this.span / ([4, 4, 3, 5][SPANS.indexOf(this.span)] / (wide < 300 ? 2 : 1));
    for (let back = 0; back <= this.span; back += every) {
      pen.textAlign = back === 0 ? "right" : back === this.span ? "left" : "center";
      const text = !back ? "now" : back % 60 ? `−${Math.round(back)} s` : `−${back / 60} min`;
      pen.fillText(text, Math.min(Math.max(x(this.now - back), GAP.left), wide - GAP.right), high - 4);
    }
  }

  #line(pen, { x, y, high }, colour, line, shown) {
    pen.strokeStyle = colour(line.tint);
    pen.lineWidth = 1.75;
    pen.lineJoin = pen.lineCap = "round";
    for (const run of this.#runs(line.key, shown)) {
      const path = new Path2D();
      run.forEach((point, i) => path[i ? "lineTo" : "moveTo"](x(point.time), y(point[line.key])));
      if (run.length === 1) path.lineTo(x(run[0].time) + 0.1, y(run[0][line.key]));
      if (line.filled) {
        const under = new Path2D(path);
        under.lineTo(x(run.at(-1).time), y(0));
        under.lineTo(x(run[0].time), y(0));
        const fade = pen.createLinearGradient(0, GAP.top, 0, high - GAP.bottom);
        fade.addColorStop(0, colour(line.tint));
        fade.addColorStop(1, "transparent");
        pen.globalAlpha = 0.16;
        pen.fillStyle = fade;
        pen.fill(under);
        pen.globalAlpha = 1;
      }
      pen.stroke(path);
    }
  }

  /** Points without a gap between them. */
  *#runs(key, shown) {
    let run = [];
    for (const point of shown) {
      const none = point[key] === null || point[key] === undefined;
      if (run.length && (none || point.time - run.at(-1).time > 8)) {
        yield run;
        run = [];
      }
      if (!none) run.push(point);
    }
    if (run.length) yield run;
  }

  #cross(pen, { x, y, high }, colour) {
    const point = this.#chosen();
    if (!point) return;
    if (this.at !== null) {
      const at = Math.round(x(point.time)) + 0.5;
      pen.strokeStyle = colour("faint");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(at, GAP.top - 8);
      pen.lineTo(at, high - GAP.bottom);
      pen.stroke();
    }
    for (const { key, tint } of this.lines) {
      if (point[key] === null || point[key] === undefined) continue;
      pen.beginPath();
      pen.arc(Math.min(x(point.time), this.canvas.clientWidth - 4), y(point[key]), 3, 0, 7);
      pen.fillStyle = colour(tint);
      pen.strokeStyle = colour("card");
      pen.lineWidth = 1.5;
      pen.fill();
      pen.stroke();
    }
  }
}
