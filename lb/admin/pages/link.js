// The way to the balancer: requests with the token, errors with their hint, events as they come.

const KEPT = "lb-token";

/** What the balancer refused, or that it could not be reached (status 0). */
export class Refused extends Error {
  constructor(status, message, hint = "") {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

const headers = (more = {}) => {
  const token = sessionStorage.getItem(KEPT);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
};

export const keepToken = (token) => sessionStorage.setItem(KEPT, token);

async function answer(method, path, body, signal) {
  const options = { method, headers: headers(), cache: "no-store", signal };
  if (body !== undefined) {
    options.headers = headers({ "Content-Type": "application/json" });
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused(0, "The balancer does not answer", "");
  }
  if (response.ok) return response;
  let told = {};
  try {
    told = await response.json();
  } catch {
    // whatever stands between has answered in its own words
  }
  throw new Refused(response.status, told.message || response.statusText, told.hint || "");
}

export async function get(path) {
  return (await answer("GET", path, undefined, AbortSignal.timeout(20000))).json();
}

export async function change(method, path, body) {
  const response = await answer(method, path, body);
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Call `heard` with each server-sent event until the stream ends. EventSource sends no token. */
export async function listen(path, heard, opened) {
  const response = await answer("GET", path);
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const data = lines.filter((line) => line.startsWith("data:"));
      if (!data.length) continue;
      try {
        heard(JSON.parse(data.map((line) => line.slice(5)).join("\n")));
      } catch {
        // a line that is no event tells nothing
      }
    }
  }
}
