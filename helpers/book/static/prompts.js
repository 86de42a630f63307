// Makes the controls work that stand above and do not yet: the recorded answer and attention of the chosen prompt.
for (const prompts of document.querySelectorAll(".book-prompts .prompts:not([data-ready])")) {
  prompts.dataset.ready = "";
  const [question, passage, seen, head] = [".question", ".passage", "input", ".head"].map((one) => prompts.querySelector(one));
  const [controls, tokens, answer, others] = [".controls", ".tokens", ".told strong", ".told span"].map((one) => prompts.querySelector(one));
  const recorded = JSON.parse(prompts.querySelector(".recorded").textContent);
  const drawToken = (token, hundredths) => {
    const [item, number] = ["li", "small"].map((one) => document.createElement(one));
    item.style.setProperty("--share", hundredths / 100);
    number.textContent = hundredths ? (hundredths / 100).toFixed(2).replace(/^0/, "") : "";
    item.append(token, number);
    return item;
  };
  controls.addEventListener("change", () => {
    passage.disabled = !seen.checked;
    const one = recorded[question.selectedIndex * (1 + passage.length) + (seen.checked ? 1 + passage.selectedIndex : 0)];
    const shares = one.attention[head.selectedIndex];
    tokens.replaceChildren(...one.tokens.map((token, place) => drawToken(token, shares[place])));
    [answer.textContent, others.textContent] = [one.answer, one.others];
  });
  controls.hidden = false;
}
