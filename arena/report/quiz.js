"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { format, quiz, label, techniques } = JSON.parse(byId("quiz-data").textContent);
  const screens = [...document.querySelectorAll("#quiz .images")];
  const images = screens.map((screen) => [...screen.querySelectorAll("button")]);
  let at = 0; // the screen shown
  let seen = 0; // the last screen shown so far
  let said = []; // of each image answered: 1 for fake, 0 for real

  function show(screen, focus) {
    at = screen;
    seen = Math.max(seen, at);
    screens.forEach((its, k) => { its.hidden = k !== at; });
    byId("quiz-back").hidden = at === 0;
    byId("quiz-next").hidden = at === screens.length - 1;
    byId("quiz-finish").classList.toggle("last", at === screens.length - 1);
    byId("quiz-at").textContent = `${screens[at].getAttribute("aria-label")}`;
    if (focus) images[at][0].focus();
  }

  function toggle(image) {
    const marked = image.getAttribute("aria-pressed") !== "true";
    image.setAttribute("aria-pressed", marked);
    image.querySelector("span").textContent = marked ? "real" : "";
  }

  function move(event) {
    const row = images[at];
    const here = row.indexOf(document.activeElement);
    const across = row.filter((image) => image.offsetTop === row[0].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -here, End: row.length - 1 - here };
    if (here < 0 || !(event.key in step) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    (row[here + step[event.key]] ?? row[here]).focus();
  }

  // Wilson's interval of a share, 95% (Wilson 1927).
  function wilson(right, n) {
    const z = 1.959964, p = right / n, shrink = 1 + z * z / n;
    const half = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return [p + z * z / (2 * n) - half, p + z * z / (2 * n) + half].map((bound) => bound / shrink);
  }

  // Share of pairs of a real and a fake of one fold in which the fake has the higher score, ties half.
  function auc(score, fold) {
    let won = 0, pairs = 0;
    for (let fake = 0; fake < said.length; fake++) {
      for (let real = 0; real < said.length; real++) {
        if (label[fake] !== 1 || label[real] !== 0 || fold[fake] !== fold[real]) continue;
        won += (Math.sign(score[fake] - score[real]) + 1) / 2;
        pairs += 1;
      }
    }
    return pairs ? (won / pairs).toFixed(3) : "–";
  }

  const percent = (share) => `${Math.round(100 * share)}%`;
  const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const rightOf = (call) => call.filter((fake, k) => fake === label[k]).length;

  function row(name, call, score, fold) {
    const [low, high] = wilson(rightOf(call), call.length).map(percent);
    const tr = document.createElement("tr");
    tr.append(Object.assign(element("th", name), { scope: "row" }));
    const share = `${percent(rightOf(call) / call.length)} [${low}, ${high}]`;
    for (const text of [`${rightOf(call)} of ${call.length}`, share, auc(score, fold)]) {
      tr.append(Object.assign(element("td", text), { className: "n" }));
    }
    return tr;
  }

  function inWords() {
    const n = said.length, right = rightOf(said);
    const [low, high] = wilson(right, n);
    const reals = label.slice(0, n).filter((fake) => !fake).length;
    const found = said.filter((fake, k) => !fake && !label[k]).length;
    const taken = said.filter((fake, k) => !fake && label[k]).length;
    const luck = low > 0.5 ? "You tell them apart: guessing would hardly do so well."
      : high < 0.5 ? "That is worse than guessing: you see a difference, and take it the wrong way round."
      : "The interval holds 50%: guessing may do as well.";
    return [
      `You were right on ${right} of ${n} images: ${percent(right / n)} (95% interval ${percent(low)} to ${percent(high)}). ${luck}`,
      `Of ${reals} real images you found ${found} and missed ${reals - found}; of ${n - reals} fakes you took ${taken} for real.`,
    ];
  }

  function finish() {
    const answered = images.slice(0, seen + 1).flat();
    said = answered.map((image) => (image.getAttribute("aria-pressed") === "true" ? 0 : 1));
    byId("quiz-how").hidden = byId("quiz-steps").hidden = true;
    screens.forEach((screen, k) => { screen.hidden = k > seen; });
    answered.forEach((image, k) => {
      const right = said[k] === label[k], truth = label[k] ? "fake" : "real";
      image.disabled = true;
      image.removeAttribute("aria-pressed");
      image.classList.add(right ? "right" : "wrong");
      image.querySelector("span").textContent = `${right ? "✓" : "✗"} ${truth}`;
      const name = image.getAttribute("aria-label");
      image.setAttribute("aria-label", `${name}: ${truth}, you were ${right ? "right" : "wrong"}`);
    });
    byId("quiz-table").append(row("you", said, said, said.map(() => 0)));
    for (const { name, logit, fold } of techniques) {
      byId("quiz-table").append(row(name, logit.slice(0, said.length).map((value) => (value > 0 ? 1 : 0)), logit, fold));
    }
    byId("quiz-score").hidden = false;
    byId("quiz-said").append(...inWords().map((text) => element("p", text)));
    byId("quiz-score-title").focus();
  }

  function save() {
    const name = byId("quiz-name").value.trim();
    const answers = Object.fromEntries(said.map((fake, k) => [k + 1, fake ? "fake" : "real"]));
    const file = JSON.stringify({ format, quiz, ...(name && { name }), answers }, null, 1) + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    link.download = `answers-${quiz}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  for (const screen of screens) screen.addEventListener("keydown", move);
  for (const image of images.flat()) image.addEventListener("click", () => toggle(image));
  byId("quiz-back").addEventListener("click", () => show(at - 1, true));
  byId("quiz-next").addEventListener("click", () => show(at + 1, true));
  byId("quiz-finish").addEventListener("click", finish);
  byId("quiz-save").addEventListener("click", save);
  show(0, false);
  byId("quiz-body").hidden = false;
})();
