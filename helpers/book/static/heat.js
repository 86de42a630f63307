// Makes the temperatures work that stand above and do not yet: they divide the logits that the chapter's model gave.
for (const heat of document.querySelectorAll(".book-heat .heat:not([data-ready])")) {
  heat.dataset.ready = "";
  const [controls, select, slider, button, begun, told, drawn] =
    [".controls", "select", "input", "button", ".begun", ".told", ".drawn"].map((one) => heat.querySelector(one));
  const rows = [...heat.querySelectorAll("li")];
  const words = JSON.parse(heat.dataset.tokens);
  const logits = new Float32Array(Uint8Array.from(atob(heat.dataset.logits), (letter) => letter.charCodeAt(0)).buffer);
  const sum = (values) => values.reduce((before, value) => before + value, 0);
  let ranked = []; // [token, share], the likeliest first
  let state = 1; // of the generator mulberry32: each visit draws the same
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const show = () => {
    const temperature = Number(slider.value);
    const first = select.selectedIndex * words.length;
    const row = [...logits.subarray(first, first + words.length)];
    const most = Math.max(...row);
    const powers = row.map((logit) => Math.exp((logit - most) / temperature)); // the largest is 1: none overflows
    const total = sum(powers);
    const order = row.map((_, token) => token).sort((one, other) => row[other] - row[one]); // no temperature changes it
    ranked = order.map((token) => [token, powers[token] / total]);
    const bars = rows.length - 1;
    const shares = [...ranked.slice(0, bars).map(([, share]) => share), sum(ranked.slice(bars).map(([, share]) => share))];
    rows.forEach((bar, place) => {
      const [word, , number] = bar.children;
      bar.style.setProperty("--share", shares[place].toFixed(6));
      if (place < bars) word.textContent = words[ranked[place][0]];
      number.textContent = `${(100 * shares[place]).toFixed(1)} %`;
    });
    let [held, covered] = [0, 0];
    while (covered < 0.9) covered += ranked[held++][1];
    const entropy = sum(ranked.map(([, share]) => (share > 0 ? -share * Math.log2(share) : 0)));
    begun.textContent = select.value;
    told.textContent = `temperature ${temperature.toFixed(2)}: ${held} of ${words.length} tokens ${held === 1 ? "holds" : "hold"} 90 %, entropy ${entropy.toFixed(2)} bits`;
    slider.setAttribute("aria-valuetext", temperature.toFixed(2));
    drawn.textContent = ""; // what was drawn belongs to another temperature
  };
  const draw = () => {
    const counts = new Map();
    for (let count = 0; count < 20; count++) {
      let left = random();
      const [token] = ranked.find(([, share]) => (left -= share) < 0) ?? ranked[0];
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    const found = [...counts].sort(([, one], [, other]) => other - one);
    drawn.textContent = `20 draws, ${found.length} different: ${found.map(([token, count]) => `${words[token]} ×${count}`).join(", ")}`;
  };
  slider.addEventListener("input", show);
  select.addEventListener("change", show);
  button.addEventListener("click", draw);
  controls.hidden = drawn.hidden = false;
  show();
}
