// The page for looking at footage: a camera, a timeline, and what was recorded from there on.
//
// Owns what is on the screen and nothing else: all it knows it has asked of the routes below /v1.
// Times are UTC milliseconds inside, and local where a person reads or writes them.

/** How much is played from where somebody points: what one playlist shows. */
const PLAY_SECONDS = 3600;
/** What is due within this is shown as going. */
const SOON_MS = 86_400_000;
const COLOURS = { covered: "#2f7fd1", expiring: "#d98a1f", held: "#b3261e", cursor: "#e8e8e8", text: "#888" };

const page = Object.fromEntries(
  ["camera", "until", "hours", "newest", "video", "timeline", "status", "download", "sign-in", "token"]
    .map((id) => [id, document.getElementById(id)]),
);

/** The window on the timeline, what the store said of it, and from where it is played. */
const state = { from: 0, to: 0, shown: null, playing: null };

/** The JSON answer of `path`; what went wrong is thrown in the store's own words. */
async function ask(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  // Media elements cannot send a token: it is changed for a cookie that this page cannot read.
  if (response.status === 401) page["sign-in"].hidden = false;
  if (!response.ok) throw new Error(body.detail ?? response.statusText);
  return body;
}

const iso = (ms) => new Date(ms).toISOString();
const local = (ms) => new Date(ms).toLocaleString();
const say = (text) => { page.status.textContent = text; };

/** `path` below the camera, with a window of `seconds` from `ms`. */
function cameraPath(path, ms, seconds) {
  const query = new URLSearchParams({ from: iso(ms), seconds: String(Math.max(1, Math.round(seconds))) });
  return `v1/cameras/${encodeURIComponent(page.camera.value)}/${path}?${query}`;
}

async function loadTimeline() {
  const seconds = (state.to - state.from) / 1000;
  state.shown = await ask(`${cameraPath("timeline", state.from, seconds)}&buckets=${buckets()}`);
  const covered = Math.round(state.shown.covered_seconds / 60);
  say(`${covered} minutes recorded between ${local(state.from)} and ${local(state.to)}.`);
  draw();
}

const buckets = () => Math.min(2000, Math.max(1, Math.round(page.timeline.clientWidth)));

function draw() {
  const canvas = page.timeline;
  const scale = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  const out = canvas.getContext("2d");
  out.scale(scale, scale);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const x = (ms) => ((ms - state.from) / (state.to - state.from)) * width;
  if (!state.shown) return;
  const soon = Date.parse(state.shown.now) + SOON_MS;
  const step = width / state.shown.buckets.length;
  state.shown.buckets.forEach((bucket, index) => {
    if (!bucket.clips) return;
    out.fillStyle = Date.parse(bucket.expires) < soon ? COLOURS.expiring : COLOURS.covered;
    out.fillRect(index * step, 20, Math.ceil(step), 28);
    if (bucket.held_clips) {
      out.fillStyle = COLOURS.held;
      out.fillRect(index * step, 48, Math.ceil(step), 6);
    }
  });
  out.fillStyle = COLOURS.text;
  out.textBaseline = "top";
  out.font = "12px system-ui, sans-serif";
  for (let tick = 0; tick < 6; tick += 1) {
    const at = state.from + ((state.to - state.from) * tick) / 6;
    out.fillText(new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }), x(at) + 2, 2);
    out.fillRect(x(at), 0, 1, height);
  }
  if (state.playing !== null) {
    out.fillStyle = COLOURS.cursor;
    out.fillRect(x(state.playing + page.video.currentTime * 1000) - 1, 14, 2, height - 14);
  }
}

/** The start of what was recorded at `ms`, or next after it; `null` when nothing was. */
function recordedFrom(ms) {
  const spans = state.shown?.covered ?? [];
  const span = spans.find(({ end }) => Date.parse(end) > ms);
  return span ? Math.max(ms, Date.parse(span.start)) : null;
}

/** Plays from `ms`: by HLS where the browser can, as one file otherwise. */
function play(ms) {
  const start = recordedFrom(ms);
  if (start === null) {
    say(`Nothing was recorded after ${local(ms)}.`);
    return;
  }
  const seconds = Math.min(PLAY_SECONDS, (state.to - start) / 1000);
  const file = cameraPath("window.mp4", start, seconds);
  page.download.href = file;
  page.download.download = "";
  page.download.hidden = false;
  const native = page.video.canPlayType("application/vnd.apple.mpegurl") !== "";
  state.playing = start;
  page.video.dataset.source = native ? "hls" : "file";
  page.video.src = native ? cameraPath("playlist.m3u8", start, seconds) : file;
  page.video.play().catch(() => say("Press play."));
  say(`Playing from ${local(start)}.`);
}

/** HLS failed: clips that are no fragments, or a browser that promised too much. */
function playAsFile() {
  if (page.video.dataset.source !== "hls") {
    say("This browser cannot play it: download it.");
    return;
  }
  page.video.dataset.source = "file";
  page.video.src = page.download.href;
  page.video.play().catch(() => say("Press play."));
}

/** Some browsers play the sound of pictures that they cannot decode, without a word. */
function checkPicture() {
  if (page.video.videoWidth === 0) say("This browser cannot show these pictures: download them.");
}

function show(until) {
  state.to = until;
  state.from = until - Number(page.hours.value) * 3_600_000;
  page.until.value = iso(until - new Date(until).getTimezoneOffset() * 60_000).slice(0, 19);
  return loadTimeline().catch((error) => say(error.message));
}

/** The window that ends with the newest footage, played from shortly before its end. */
async function newest() {
  const { cameras } = await ask("v1/cameras");
  const camera = cameras.find(({ id }) => id === page.camera.value);
  if (!camera?.newest) {
    say("Nothing is recorded yet.");
    return;
  }
  await show(Date.parse(camera.newest) + 1000);
  const last = state.shown?.covered.at(-1);
  if (last) play(Math.max(Date.parse(last.start), Date.parse(last.end) - 60_000));
}

async function start() {
  const { cameras } = await ask("v1/cameras");
  page.camera.replaceChildren(...cameras.map(({ id }) => new Option(id, id)));
  if (cameras.length === 0) say("No camera has sent anything yet.");
  else await newest();
}

/** Changes the token for a session, and forgets it. */
async function signIn() {
  const headers = { Authorization: `Bearer ${page.token.value.trim()}` };
  page.token.value = "";
  const response = await fetch("v1/session", { method: "POST", headers });
  if (!response.ok) throw new Error((await response.json()).detail);
  page["sign-in"].hidden = true;
  await start();
}

const run = (work) => () => work().catch((error) => say(error.message));
page["sign-in"].addEventListener("submit", (event) => {
  event.preventDefault();
  run(signIn)();
});
page.camera.addEventListener("change", run(newest));
page.newest.addEventListener("click", run(newest));
page.hours.addEventListener("change", () => show(state.to));
page.until.addEventListener("change", () => {
  const until = Date.parse(page.until.value);
  if (!Number.isNaN(until)) show(until);
});
page.timeline.addEventListener("click", ({ offsetX }) => {
  play(state.from + (offsetX / page.timeline.clientWidth) * (state.to - state.from));
});
page.timeline.addEventListener("keydown", ({ key }) => {
  const step = { ArrowLeft: -10_000, ArrowRight: 10_000 }[key];
  if (step && state.playing !== null) play(state.playing + page.video.currentTime * 1000 + step);
});
page.video.addEventListener("timeupdate", draw);
page.video.addEventListener("loadedmetadata", checkPicture);
page.video.addEventListener("error", playAsFile);
window.addEventListener("resize", draw);
run(start)();
