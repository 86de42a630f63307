// Makes the players work that stand above and do not yet: each output brings this script, and leaves no name behind.
for (const player of document.querySelectorAll(".book-frames .player:not([data-ready])")) {
  player.dataset.ready = "";
  const [strip, button, slider, label] = [".strip", "button", "input", ".controls span"].map((one) => player.querySelector(one));
  const labels = [...player.querySelectorAll("li")].map((one) => one.textContent);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const pause = Math.min(600, Math.max(100, 6000 / labels.length)); // milliseconds a frame
  let timer = null;
  let begun = false;
  const show = (frame) => {
    strip.style.setProperty("--frame", frame);
    slider.value = frame;
    slider.setAttribute("aria-valuetext", labels[frame]);
    label.textContent = labels[frame];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "▶";
    button.setAttribute("aria-label", "Play");
  };
  const step = () => {
    const next = Number(slider.value) + 1;
    if (next >= labels.length || !player.isConnected) stop();
    else show(next);
  };
  button.addEventListener("click", () => {
    if (timer !== null) return stop();
    show(begun ? (Number(slider.value) + 1) % labels.length : 0); // from the last frame, the first
    begun = true;
    if (still.matches) return; // one frame for each press
    timer = setInterval(step, pause);
    button.textContent = "⏸";
    button.setAttribute("aria-label", "Pause");
  });
  slider.addEventListener("input", () => {
    stop();
    begun = true;
    show(Number(slider.value));
  });
  button.hidden = slider.hidden = false;
}
