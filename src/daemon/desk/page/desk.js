// What the pages of the desk share: asking the routes below /v1, signing in, and words for times.
//
// Owns the token while the tab is open. The cookie that it is changed for can only read, so that no
// other site can make a browser answer a request; whatever changes something sends the token.

const KEY = "clipkeep-token";

export const byId = (id) => document.getElementById(id);

/** The answer of a route; what went wrong is thrown in the daemon's own words. */
export async function call(method, path, body, headers = {}) {
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(path, { method, headers, body: sent });
  if (response.status === 204) return null;
  const answer = await response.json();
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    byId("sign-in").hidden = false;
  }
  if (!response.ok) throw new Error(answer.detail ?? response.statusText);
  return answer;
}

/** Says what `work` fails with, in the page's status line. */
export const attempt = (work) => async (...given) => {
  byId("status").textContent = "";
  try {
    await work(...given);
  } catch (error) {
    byId("status").textContent = error.message;
  }
};

/** Signs in with the form, or with the token behind `#token=` of a link, and then does `start`. */
export function begin(start) {
  const form = byId("sign-in");
  const use = async (token) => {
    sessionStorage.setItem(KEY, token);
    await call("POST", "v1/session");
    form.hidden = true;
    await start();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId("token").value.trim();
    byId("token").value = "";
    attempt(use)(token);
  });
  const linked = new URLSearchParams(location.hash.slice(1)).get("token");
  // Not to be read over a shoulder, and not to be kept in a history.
  if (linked) history.replaceState(null, "", location.pathname);
  attempt(linked ? () => use(linked) : start)();
}

const DAY = { weekday: "short", day: "numeric", month: "short" };
const TIME = { hour: "2-digit", minute: "2-digit" };

export const day = (iso) => new Date(iso).toLocaleDateString([], DAY);
export const time = (iso) => new Date(iso).toLocaleTimeString([], TIME);
export const moment = (iso) => `${day(iso)}, ${time(iso)}`;

/** "Sun 1 Nov, 17:00 to 20:00". */
export function stretch({ from, to }) {
  const end = day(from) === day(to) ? time(to) : moment(to);
  return `${moment(from)} to ${end}`;
}

/** "13 days", "5 hours", "20 minutes" from now on. */
export function left(iso) {
  const minutes = Math.max(0, Math.round((Date.parse(iso) - Date.now()) / 60_000));
  const [count, unit] = minutes >= 2880 ? [Math.round(minutes / 1440), "day"]
    : minutes >= 120 ? [Math.round(minutes / 60), "hour"] : [minutes, "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** A copy of a template, and its parts by their class. */
export function copy(id) {
  const node = byId(id).content.firstElementChild.cloneNode(true);
  return [node, (name) => node.querySelector(`.${name}`)];
}
