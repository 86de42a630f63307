// A link that leads to folded text opens it, and what is printed is open, and light.
(() => {
  // All but the code of figures, which stays away from paper.
  const folds = () => document.querySelectorAll("details:not(.tag_hide-input > *)");
  const theme = document.documentElement.dataset;
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const inside = target.querySelector(":scope > details.fold");
    let opened = Boolean(inside && !inside.open);
    if (inside) inside.open = true;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened ||= !fold.open;
      fold.open = true;
    }
    if (opened) target.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  // A second click on the same link changes no address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href*='#']");
    if (link && link.href === location.href) setTimeout(follow);
  });
  addEventListener("beforeprint", () => {
    [theme.before, theme.theme] = [theme.theme, "light"];
    for (const fold of folds()) {
      fold.dataset.closed = fold.open ? "" : "yes";
      fold.open = true;
    }
  });
  addEventListener("afterprint", () => {
    theme.theme = theme.before;
    for (const fold of folds()) fold.open = !fold.dataset.closed;
  });
  follow();
})();
