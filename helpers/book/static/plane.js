// Makes the planes work that stand above and do not yet: the decoder draws what lies where the mark is.
for (const plane of document.querySelectorAll(".book-plane .plane:not([data-ready])")) {
  plane.dataset.ready = "";
  if (!("DecompressionStream" in window)) continue; // an older browser keeps the picture that stands there
  const [field, mark, canvas, told, guide] = [".field", ".mark", "canvas", ".told", ".guide"].map((one) => plane.querySelector(one));
  const reach = Number(plane.dataset.reach);
  const side = field.querySelector("svg").viewBox.baseVal.width;
  const codes = [...plane.querySelectorAll("path[data-digit]")].flatMap((path) =>
    [...path.getAttribute("d").matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => [x, y, path.dataset.digit]));
  const say = (number) => number.toFixed(2).replace("-", "−");
  const place = plane.dataset.start.split(" ").map(Number);
  readNetwork(plane.querySelector(".weights")).then((decode) => {
    const move = (first, second) => {
      [first, second].forEach((value, axis) => { place[axis] = Math.min(Math.max(value, -reach), reach); });
      const [x, y] = [(place[0] / reach + 1) * side / 2, (1 - place[1] / reach) * side / 2];
      const away = codes.map(([left, top]) => Math.hypot(left - x, top - y));
      const nearest = codes[away.indexOf(Math.min(...away))][2];
      mark.setAttribute("transform", `translate(${x} ${y})`);
      paint(canvas, decode(place));
      told.textContent = `code (${place.map(say).join(", ")}), nearest that of a ${nearest}`;
      field.setAttribute("aria-valuenow", place[0].toFixed(2));
      field.setAttribute("aria-valuetext", told.textContent);
    };
    const follow = (event) => {
      const box = field.getBoundingClientRect();
      move(reach * (2 * (event.clientX - box.left) / box.width - 1), reach * (1 - 2 * (event.clientY - box.top) / box.height));
    };
    field.addEventListener("pointerdown", (event) => {
      field.setPointerCapture(event.pointerId);
      follow(event);
    });
    field.addEventListener("pointermove", (event) => {
      if (field.hasPointerCapture(event.pointerId)) follow(event);
    });
    field.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
      if (event.key === "Home") move(0, 0);
      else if (way) move(...place.map((value, axis) => value + (event.shiftKey ? 0.5 : 0.1) * way[axis]));
      else return;
      event.preventDefault(); // the page would scroll
    });
    const says = { tabindex: 0, role: "slider", "aria-label": "Code in the plane", "aria-valuemin": -reach, "aria-valuemax": reach };
    Object.entries(says).forEach(([name, value]) => field.setAttribute(name, value));
    guide.hidden = false;
    move(...place);
  });
}
