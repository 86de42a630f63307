// Lets a reader choose among the runs that stand above; frames.js, which came before, plays the one that is chosen.
for (const runs of document.querySelectorAll(".book-runs .runs:not([data-ready])")) {
  runs.dataset.ready = ""; // from here on one run is seen, and not all of them side by side
  const [label, select, heads, strip, told] = ["label", "select", ".heads", ".strip", ".told"].map((one) => runs.querySelector(one));
  const texts = JSON.parse(runs.dataset.told);
  const tell = () => {
    told.textContent = texts[select.selectedIndex][Number(strip.style.getPropertyValue("--frame"))];
  };
  new MutationObserver(tell).observe(strip, { attributeFilter: ["style"] }); // which each new frame changes
  select.addEventListener("change", () => strip.style.setProperty("--run", select.selectedIndex));
  heads.hidden = true;
  label.hidden = told.hidden = false;
  tell();
}
