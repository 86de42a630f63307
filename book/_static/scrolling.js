// What scrolls sideways in its own box can be reached by the keyboard, and has a name; what does not is no stop.
// The theme does this for code too, but late, and not for what was folded when the page was loaded.
(() => {
  const names = {
    pre: () => "Code",
    ".cell_output > .output": () => "Output",
    ".pst-scrollable-table-container": (box) => box.querySelector("caption")?.textContent.replace("#", "").trim() || "Table",
    "mjx-container[display='true']": () => "Formula",
  };
  const mark = () => {
    const boxes = Object.entries(names).flatMap(([kind, name]) =>
      [...document.querySelectorAll(kind)].map((box) => [box, name, box.scrollWidth > box.clientWidth]),
    );
    for (const [box, name, scrolls] of boxes) {
      if (scrolls) {
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", name(box));
      } else if (box.role === "group") {
        for (const attribute of ["tabindex", "role", "aria-label"]) box.removeAttribute(attribute);
      }
    }
  };
  // Every time that the text has another size: narrower, unfolded, with its formulas set.
  new ResizeObserver(mark).observe(document.querySelector("main") ?? document.body);
})();
