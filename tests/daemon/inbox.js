// What tests/daemon/inbox.rs adds to the resident's page: signs in and answers by clicks alone, as a
// person does on a telephone. Reports once.

/** Waits until `holds`; what it waited for is said when it takes too long. */
function until(what, holds) {
  const deadline = performance.now() + 60_000;
  return new Promise((resolve, reject) => {
    const look = () => {
      const held = holds();
      if (held) resolve(held);
      else if (performance.now() > deadline) reject(new Error(`waited for ${what}`));
      else setTimeout(look, 50);
    };
    look();
  });
}

const waiting = () => [...document.querySelectorAll("#requests article")];
const answered = () => [...document.querySelectorAll("#requests section")];
const button = (node, name) => until(name, () => {
  const found = node.querySelector(`button.${name}`);
  return found && !found.hidden && !found.disabled && found;
});
const ready = (count) => until(`${count} requests to wait`, () => document.body.dataset.ready === String(count));
const style = (node) => {
  const { backgroundColor, color, fontSize, fontWeight, height } = getComputedStyle(node);
  return [backgroundColor, color, fontSize, fontWeight, height].join(" ");
};

const report = {};
try {
  const signIn = document.getElementById("sign-in");
  await until("the page to ask for a token", () => !signIn.hidden);
  document.getElementById("token").value = "TOKEN";
  signIn.requestSubmit();
  await ready(2);
  report.width = window.innerWidth;
  report.content_width = document.documentElement.scrollWidth;
  report.text = waiting()[0].innerText;
  const first = waiting()[0];
  report.chosen_beforehand = first.querySelectorAll("input:checked").length;
  report.styles = ["share-all", "deny"].map((name) => style(first.querySelector(`button.${name}`)));
  first.querySelector("button.look").click();
  const video = await until("a video", () => first.querySelector("video"));
  await until("a picture", () => video.readyState >= 2 && video.videoWidth > 0);
  report.picture = [video.videoWidth, video.videoHeight];
  first.querySelector("input[type=checkbox]").click();
  (await button(first, "share-some")).click();
  await ready(1);
  report.shared = answered()[0].innerText;
  (await button(waiting()[0], "deny")).click();
  await ready(0);
  report.denied = answered().map((node) => node.innerText);
  const denied = answered().find((node) => node.innerText.includes("You share nothing"));
  (await button(denied, "back")).click();
  await ready(1);
  (await button(waiting()[0], "deny")).click();
  await ready(0);
  (await button(document.getElementById("homes"), "change")).click();
  await until("to be out of it", () => document.getElementById("homes").innerText.includes("asked by nobody"));
} catch (error) {
  report.error = String(error);
  report.status = document.getElementById("status").textContent;
}
await fetch("report", { method: "POST", body: JSON.stringify(report) });
