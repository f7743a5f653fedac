// What tests/daemon/watch/browser.rs adds to the page: signs in, waits until the page plays, looks
// at the pictures, seeks, looks again, then lets the same be played as one file, then a stored clip
// as it is. Reports once.

const video = document.getElementById("video");

/** Waits until `holds`; what it waited for is said when it takes too long. */
function until(what, holds) {
  const deadline = performance.now() + 60_000;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (holds()) resolve();
      else if (performance.now() > deadline) reject(new Error(`waited for ${what}`));
      else setTimeout(look, 50);
    };
    look();
  });
}

/** The pixels that the video shows now. */
function pixels() {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const out = canvas.getContext("2d");
  out.drawImage(video, 0, 0);
  return out.getImageData(0, 0, canvas.width, canvas.height).data;
}

/** From the darkest to the brightest red. */
function spread(data) {
  let [least, most] = [255, 0];
  for (let at = 0; at < data.length; at += 4) {
    least = Math.min(least, data[at]);
    most = Math.max(most, data[at]);
  }
  return most - least;
}

function changed(before, after) {
  let count = 0;
  for (let at = 0; at < before.length; at += 4) {
    if (Math.abs(before[at] - after[at]) > 40) count += 1;
  }
  return count;
}

/** Looks at what plays, and again from second `to` on. */
async function look(to) {
  await until("a picture", () => video.readyState >= 2 && video.videoWidth > 0);
  const started = video.currentTime;
  await until("time to advance", () => video.currentTime > started + 0.2);
  const advanced = video.currentTime - started;
  const before = pixels();
  video.currentTime = to;
  const there = () => !video.seeking && video.currentTime > to + 0.1 && video.readyState >= 2;
  await until("the seek", there);
  const after = pixels();
  return {
    src: video.src,
    advanced,
    width: video.videoWidth,
    height: video.videoHeight,
    duration: video.duration,
    spread: spread(before),
    after_seek: video.currentTime,
    spread_after_seek: spread(after),
    changed_pixels: changed(before, after),
  };
}

/** How many pixels of the timeline have a colour. */
function coloured() {
  const canvas = document.getElementById("timeline");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]) count += 1;
  return count;
}

const report = {};
try {
  const signIn = document.getElementById("sign-in");
  await until("the page to ask for a token", () => !signIn.hidden);
  document.getElementById("token").value = "TOKEN";
  signIn.requestSubmit();
  await until("the page to play", () => video.src !== "");
  report.hls = await look(4.2);
  report.cameras = [...document.getElementById("camera").options].map(({ value }) => value).join(" ");
  report.coloured = coloured();
  video.dataset.source = "file";
  video.src = document.getElementById("download").href;
  await video.play();
  report.file = await look(4.2);
  const oldest = await fetch("v1/cameras/front/clips?order=oldest&limit=1");
  const [clip] = (await oldest.json()).clips;
  video.src = `v1/clips/${clip.id}/media`;
  await video.play();
  report.clip = await look(6.2);
} catch (error) {
  report.error = String(error);
  report.media = video.error?.message;
  report.status = document.getElementById("status").textContent;
}
await fetch("report", { method: "POST", body: JSON.stringify(report) });
