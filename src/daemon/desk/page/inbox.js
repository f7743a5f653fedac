// The resident's page: who asks for what, why and until when, and the answer.
//
// Sharing and not sharing are buttons of one kind, nothing is chosen beforehand, and leaving the
// page is no answer. What it knows it has asked of the routes below /v1.

import { attempt, begin, byId, call, copy, day, left, moment, stretch, time } from "./desk.js";

/** Every clip of a camera that meets the window of a request. */
async function clipsOf(camera, { from, to }) {
  const clips = [];
  let next;
  do {
    const query = new URLSearchParams({ from, to, limit: "1000", ...(next && { cursor: next }) });
    const page = await call("GET", `v1/cameras/${encodeURIComponent(camera)}/clips?${query}`);
    clips.push(...page.clips.filter(({ state }) => state !== "recording"));
    next = page.next;
  } while (next);
  return clips;
}

const at = (iso, seconds) => new Date(Date.parse(iso) + seconds * 1000).toISOString();
const seconds = (clip) => Math.round((Date.parse(clip.end) - Date.parse(clip.start)) / 1000);
const plural = (count) => `${count} clip${count === 1 ? "" : "s"}`;

/** One clip: chosen or not, looked at, cut down to a part. */
function clipRow(clip, window, changed) {
  const [node, part] = copy("clip");
  const [box] = node.getElementsByTagName("input");
  part("name").textContent = `${clip.camera}, ${day(clip.start)} ${time(clip.start)}, ${seconds(clip)} s`;
  box.addEventListener("change", () => {
    part("part").hidden = !box.checked;
    changed();
  });
  part("from").max = part("to").max = seconds(clip);
  part("from").placeholder = "0";
  part("to").placeholder = seconds(clip);
  part("look").addEventListener("click", () => {
    const [open] = node.getElementsByTagName("video");
    if (open) return open.remove();
    const video = document.createElement("video");
    Object.assign(video, { controls: true, playsInline: true, src: `v1/clips/${clip.id}/media.mp4` });
    node.append(video);
    video.play().catch(() => {});
  });
  /** What is shared of it: whole, unless a part was written down. */
  const choice = () => {
    const [from, to] = [part("from").value, part("to").value];
    if (from === "" && to === "") return { clip: clip.id };
    const end = to === "" || Number(to) >= seconds(clip) ? clip.end : at(clip.start, Number(to));
    return { clip: clip.id, part: { from: at(clip.start, Number(from)), to: end } };
  };
  return { node, box, choice };
}

async function pending(home, asked) {
  const [node, part] = copy("pending");
  const said = asked.submission;
  part("agency").textContent = asked.agency;
  part("kind").textContent = said.kind;
  part("says").textContent = said.words;
  part("says").hidden = said.words === "";
  part("window").textContent = stretch(asked.window);
  part("cameras").textContent = asked.cameras.join(", ");
  part("until").textContent = `${moment(asked.until)} (${left(asked.until)} left)`;
  part("incident").textContent = said.incident;
  part("contact").textContent = said.contact;
  const found = await Promise.all(asked.cameras.map((camera) => clipsOf(camera, asked.window)));
  const chosen = () => rows.filter(({ box }) => box.checked);
  const changed = () => {
    part("share-some").disabled = chosen().length === 0;
    part("share-some").textContent = chosen().length ? `Share the chosen ${plural(chosen().length)}` : "Share the chosen";
  };
  const rows = found.flat().map((clip) => clipRow(clip, asked.window, changed));
  part("clips").append(...rows.map((row) => row.node));
  part("none").hidden = rows.length > 0;
  part("share-all").textContent = rows.length === 1 ? "Share the clip" : `Share all ${plural(rows.length)}`;
  part("share-all").hidden = rows.length === 0;
  part("share-some").hidden = rows.length === 0;
  const say = (what, body) => attempt(async () => {
    for (const button of node.querySelectorAll(".choices button")) button.disabled = true;
    await call("POST", `v1/households/${home}/requests/${asked.request}/${what}`, body?.());
  });
  const answer = (what, body) => async () => {
    await say(what, body)();
    const failed = byId("status").textContent;
    await start();
    byId("status").textContent = failed;
  };
  part("share-all").addEventListener("click", answer("accept", () => ({ clips: rows.map((row) => row.choice()) })));
  part("share-some").addEventListener("click", answer("accept", () => ({ clips: chosen().map((row) => row.choice()) })));
  part("deny").addEventListener("click", answer("deny"));
  return node;
}

/** What became of a request: in words, and what can still be taken back. */
function outcome({ agency, answer, chosen, holds, until, window }) {
  const clips = plural(chosen.length);
  switch (answer) {
    case "screening": return [holds.length
      ? "The operator looks at this request. It keeps your video meanwhile, and shows it to nobody."
      : "The operator looks at this request. It keeps nothing of yours, and shows it to nobody."];
    case "accepted": return [`You share ${clips}, until ${moment(until)}. Not fetched yet.`, "revoke", "Stop sharing"];
    case "disclosed": return [`You shared ${clips}, and ${agency} has fetched it.`];
    case "denied": return until
      ? [`You share nothing. You can take that back until ${moment(until)}.`, "undo", "Take it back"]
      : ["You share nothing."];
    case "opted-out": return ["You opted out. Nothing is shared."];
    case "lapsed": return ["The time to answer is over. Nothing is shared."];
    case "withdrawn": return ["It was taken back. Nothing is shared any more."];
    case "rejected": return ["The operator refused it. Nothing is shared."];
    case "not-asked": return ["You were not asked. Nothing was kept for it, and nothing is shared."];
    case "unfetched": return ["What you shared was not fetched in time, and is shared no more."];
    default: return [answer];
  }
}

function answered(home, asked) {
  const [node, part] = copy("answered");
  part("agency").textContent = asked.submission ? `${asked.agency}: ${asked.submission.kind}` : asked.agency;
  part("window").textContent = stretch(asked.window);
  const [words, back, label] = outcome(asked);
  part("outcome").textContent = words;
  if (back) {
    part("back").hidden = false;
    part("back").textContent = label;
    part("back").addEventListener("click", attempt(async () => {
      await call("POST", `v1/households/${home}/requests/${asked.request}/${back}`);
      await start();
    }));
  }
  return node;
}

/** Out of it in one step, and in again. */
function homeCard({ household, cameras, opted_out: out }) {
  const [node, part] = copy("home");
  part("title").textContent = out ? "You are asked by nobody" : "Do not want to be asked?";
  part("what").textContent = out
    ? `No department is told that you opted out. Cameras: ${cameras.join(", ")}.`
    : "One step, at once. What waits for your answer ends, and no department is told.";
  part("change").textContent = out ? "Let me be asked again" : "Never ask me again";
  part("change").addEventListener("click", attempt(async () => {
    await call("POST", `v1/households/${household}/${out ? "opt-in" : "opt-out"}`);
    await start();
  }));
  return node;
}

async function start() {
  const { households } = await call("GET", "v1/households");
  const [waiting, done] = [[], []];
  for (const { household } of households) {
    const { requests } = await call("GET", `v1/households/${household}/requests`);
    // What must be answered first stands first; what is over stands below, the newest first.
    for (const asked of requests) {
      if (asked.answer === "pending") waiting.push(await pending(household, asked));
      else done.unshift(answered(household, asked));
    }
  }
  byId("requests").replaceChildren(...waiting, ...done);
  byId("homes").replaceChildren(...households.map(homeCard));
  if (households.length === 0) byId("status").textContent = "No home of yours takes part.";
  else if (waiting.length + done.length === 0) byId("status").textContent = "Nobody has asked for your video.";
  document.body.dataset.ready = String(waiting.length);
}

begin(start);
