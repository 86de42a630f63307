// Makes the mixtures work that stand above and do not yet: the generator draws what is chosen, and the sheet of a pair.
for (const mix of document.querySelectorAll(".book-mix .mix:not([data-ready])")) {
  mix.dataset.ready = "";
  if (!("DecompressionStream" in window)) continue; // an older browser keeps the pictures that stand there
  const [sheet, picture, mark, canvas, told, controls, select, slider, button, guide] =
    [".sheet", "img", "i", "canvas", ".told", ".controls", "select", "[type=range]", "button", ".guide"].map((one) => mix.querySelector(one));
  const noises = JSON.parse(mix.dataset.noises);
  const columns = Number(mix.dataset.columns);
  const kinds = select.length;
  let pair = 0;
  readNetwork(mix.querySelector(".weights")).then((generate) => {
    const draw = (label, share) => {
      const [near, far] = [Math.cos, Math.sin].map((part) => part((share * Math.PI) / 2)); // on this arc a mixture is a draw, too
      const noise = noises[pair].map((value, place) => near * value + far * noises[pair + 1][place]);
      return generate([...noise, ...Array.from({ length: kinds }, (_, kind) => Number(kind === label))]);
    };
    const show = () => {
      const [label, share] = [select.selectedIndex, Number(slider.value)];
      paint(canvas, draw(label, share));
      told.textContent = share === 0.5 ? `${label}, half of each noise` : `${label}, ${Math.round(100 * share)} % of the way to the other noise`;
      slider.setAttribute("aria-valuetext", told.textContent);
      mark.style.left = `${(share * 100 * (columns - 1)) / columns}%`;
      mark.style.top = `${(100 * label) / kinds}%`;
    };
    const fill = () => {
      const [whole, one] = [[28 * columns, 28 * kinds], [28, 28]].map(([width, height]) => Object.assign(document.createElement("canvas"), { width, height }));
      for (let cell = 0; cell < kinds * columns; cell++) {
        const [row, column] = [Math.floor(cell / columns), cell % columns];
        paint(one, draw(row, column / (columns - 1)));
        whole.getContext("2d").drawImage(one, 28 * column, 28 * row);
      }
      picture.src = whole.toDataURL();
    };
    select.addEventListener("change", show);
    slider.addEventListener("input", show);
    sheet.addEventListener("click", (event) => {
      const { left, top, width, height } = sheet.getBoundingClientRect();
      select.selectedIndex = Math.min(Math.floor((kinds * (event.clientY - top)) / height), kinds - 1);
      slider.value = ((columns * (event.clientX - left)) / width - 0.5) / (columns - 1); // which keeps it in its range
      show();
    });
    button.addEventListener("click", () => {
      pair = (pair + 2) % noises.length;
      fill();
      show();
    });
    controls.hidden = guide.hidden = mark.hidden = false;
    show();
  });
}
