// Makes the sliders work that stand above and do not yet: points walk by the network, and frames of digits follow.
for (const walk of document.querySelectorAll(".book-steps .walk:not([data-ready])")) {
  walk.dataset.ready = "";
  if (!("DecompressionStream" in window)) continue; // an older browser keeps the picture that stands there
  const [slider, told, guide, strip, ways, ends] = ["input", ".told", ".guide", ".strip", ".ways", ".ends"].map((one) => walk.querySelector(one));
  const { unit, reach, radius } = walk.dataset;
  const [noise, centres, counts] = ["noise", "centres", "counts"].map((one) => JSON.parse(walk.dataset[one]));
  const place = ([x, y]) => `${Math.round(unit * (Number(reach) + x))} ${Math.round(unit * (reach - y))}`;
  const known = new Map(); // number of steps: the ways of all points
  readNetwork(walk.querySelector(".weights")).then((guess) => {
    const follow = (start, steps) => {
      const way = [start];
      for (let step = 0; step < steps; step++) {
        const here = way[step];
        const end = guess([...here, step / steps]);
        way.push(here.map((value, axis) => value + (end[axis] - value) / (steps - step))); // a step at the velocity of the guess
      }
      return way;
    };
    const show = (frame) => {
      const steps = counts[frame];
      if (!known.has(steps)) known.set(steps, noise.map((start) => follow(start, steps)));
      const found = known.get(steps);
      const last = found.map((way) => way[steps]);
      const inside = last.filter(([x, y]) => centres.some(([left, top]) => Math.hypot(x - left, y - top) < radius)).length;
      ways.setAttribute("d", found.slice(0, Number(ways.dataset.count)).map((way) => `M${way.map(place).join("L")}`).join(""));
      ends.setAttribute("d", last.map((one) => `M${place(one)}h0`).join(""));
      strip.style.setProperty("--frame", frame);
      told.textContent = `${steps} ${steps === 1 ? "step" : "steps"}: ${inside} of ${last.length} points end in a circle`;
      slider.setAttribute("aria-valuetext", told.textContent);
    };
    slider.addEventListener("input", () => show(Number(slider.value)));
    slider.hidden = guide.hidden = false;
    show(Number(slider.value));
  });
}
