// The agency's page: ask, see what residents shared, fetch it.
//
// It has nothing to show of who was asked or what there is, because the routes do not say.

import { attempt, begin, byId, call, copy, moment, stretch } from "./desk.js";

const AGENCY = "clipkeep-agency";
/** Sending the same form twice asks once. */
let key = crypto.randomUUID();

const base = () => `v1/agencies/${encodeURIComponent(sessionStorage.getItem(AGENCY) ?? "")}/requests`;

const STATES = {
  received: () => "Received. The operator looks at it.",
  open: ({ deadline }) => `Residents may answer until ${moment(deadline)}.`,
  closed: () => "Closed.",
  rejected: () => "The operator refused it.",
  withdrawn: () => "You took it back.",
};

function card(view) {
  const [node, part] = copy("request");
  const path = `${base()}/${view.request}`;
  part("title").textContent = view.request;
  part("window").textContent = stretch(view.window);
  part("state").textContent = STATES[view.status]?.(view) ?? view.status;
  const count = view.shared.length;
  part("shared").textContent = count ? `${count} clip${count === 1 ? "" : "s"} shared.` : "Nothing shared.";
  part("bundle").href = `${path}/bundle`;
  part("bundle").hidden = count === 0;
  part("acknowledge").hidden = !view.shared.some(({ until }) => until);
  part("renew").hidden = view.status !== "open";
  part("withdraw").hidden = !["received", "open"].includes(view.status);
  const does = (name, body) => part(name).addEventListener("click", attempt(async () => {
    await call("POST", `${path}/${name}`, body);
    await start();
  }));
  does("acknowledge", { clips: view.shared.map(({ clip }) => clip) });
  does("renew");
  does("withdraw");
  return node;
}

async function start() {
  const { requests } = await call("GET", base());
  byId("new").hidden = false;
  byId("requests").replaceChildren(...requests.reverse().map(card));
}

async function send() {
  const value = (id) => byId(id).value;
  const iso = (id) => new Date(value(id)).toISOString();
  const center = { lat: Number(value("lat")), lon: Number(value("lon")) };
  await call("POST", base(), {
    window: { from: iso("from"), to: iso("to") },
    area: { circle: { center, radius_m: Number(value("radius")) } },
    incident: value("incident"),
    kind: value("kind"),
    contact: value("contact"),
    words: value("words"),
  }, { "Idempotency-Key": key });
  key = crypto.randomUUID();
  byId("asking").reset();
  await start();
}

byId("asking").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(send)();
});
byId("sign-in").addEventListener("submit", () => {
  sessionStorage.setItem(AGENCY, byId("agency").value.trim());
});
if (sessionStorage.getItem(AGENCY)) begin(start);
else {
  byId("sign-in").hidden = false;
  begin(async () => { if (sessionStorage.getItem(AGENCY)) await start(); });
}
