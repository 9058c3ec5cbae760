// Figures over time, from the differences between what the balancer has counted.

/** Seconds that a figure is about: the prediction is of windows as long. */
export const WINDOW = 10;
/** Seconds that are kept. */
export const KEPT = 300;

const BITS = 7;
const BIAS = 127;

/** Seconds in the middle of a fine bucket: exponent and first bits of a number, see Histogram. */
const middle = (key) =>
  key ? (2 ** BITS + (key % 2 ** BITS) + 0.5) * 2 ** ((key >> BITS) - BIAS - BITS) : 0;

function quantiles(now, then, shares) {
  const rows = [];
  let total = 0;
  for (const [key, n] of Object.entries(now)) {
    const more = n - (then[key] || 0);
    if (more > 0) {
      rows.push([Number(key), more]);
      total += more;
    }
  }
  rows.sort((a, b) => a[0] - b[0]);
  return shares.map((share) => {
    if (total * (1 - share) < 1 - 1e-9) return null; // so few say nothing of it
    let left = share * total;
    for (const [key, n] of rows) {
      left -= n;
      if (left <= 1e-9) return middle(key);
    }
    return middle(rows.at(-1)[0]);
  });
}

const sum = (counts) => Object.values(counts || {}).reduce((a, b) => a + b, 0);

function rates(now, then, seconds) {
  const found = {};
  for (const [name, n] of Object.entries(now || {})) {
    const more = n - ((then || {})[name] || 0);
    if (more > 0) found[name] = more / seconds;
  }
  return found;
}

/** Seconds that an attempt has taken between the two, on average; null of none. */
function mean(now, then) {
  const count = (now?.count || 0) - (then?.count || 0);
  return count > 0 ? ((now.seconds || 0) - (then?.seconds || 0)) / count : null;
}

export class Measures {
  constructor() {
    this.points = [];
    this.taken = [];
    this.backends = new Map(); // name -> what has been seen of it, newest last
  }

  /** One more look at everything, at `time` in seconds; the newest point. */
  take(snapshot, time) {
    const last = this.taken.at(-1);
    if (last && snapshot.requests < last.snapshot.requests) this.taken = []; // it began anew
    while (this.taken.length > 1 && time - this.taken[1].time >= WINDOW) this.taken.shift();
    const then = this.taken[0];
    const point = then ? this.#between(snapshot, then.snapshot, time, time - then.time) : null;
    this.taken.push({ time, snapshot });
    this.#lanes(snapshot, then, time);
    if (!point) return null;
    this.points.push(point);
    while (this.points[0].time < time - KEPT - WINDOW) this.points.shift();
    return point;
  }

  #between(now, then, time, seconds) {
    const [p50, p95, p99] = quantiles(now.traffic.latency, then.traffic.latency, [0.5, 0.95, 0.99]);
    const came = now.requests - then.requests;
    const { ok, ...errors } = rates(now.traffic.outcomes, then.traffic.outcomes, seconds);
    return {
      time,
      p50,
      p95,
      p99,
      rate: came / seconds,
      errors,
      answered: ok || 0,
      failing: sum(errors),
      retries: (now.retried - then.retried) / seconds,
      hedges: (now.hedged - then.hedged) / seconds,
      inFlight: now.backends.reduce((all, backend) => all + backend.connections, 0),
      waiting: now.waiting,
    };
  }

  #lanes(now, then, time) {
    const before = new Map((then ? then.snapshot.backends : []).map((it) => [it.name, it]));
    const seconds = then ? time - then.time : 0;
    let all = 0;
    const seen = new Map();
    for (const backend of now.backends) {
      const old = before.get(backend.name);
      const picked = old ? Math.max(backend.picked - old.picked, 0) : 0;
      const failed = old ? Math.max(backend.failed - old.failed, 0) : 0;
      all += picked;
      const past = this.backends.get(backend.name)?.past || [];
      const latency = mean(now.traffic.attempts[backend.name], then?.snapshot.traffic.attempts[backend.name]);
      past.push(latency);
      if (past.length > 60) past.shift();
      seen.set(backend.name, { picked, failed, latency, past });
    }
    for (const lane of seen.values()) {
      lane.rate = seconds ? lane.picked / seconds : null;
      lane.failing = seconds ? lane.failed / seconds : null;
      lane.share = all ? lane.picked / all : null;
    }
    this.backends = seen;
  }
}
