// Makes of all pages in one document what a book on paper or in a reader can show: no scripts, stills in place of
// frames, folds that are open, links within the book. `Paper.prepare` is called once, then `linkWithin` or `extract`.
const Paper = {
  pages: () => [...document.querySelectorAll("section.page")],
  slug: (page) => page.dataset.page.split("/").pop(),

  // The address of a page of the site, which links in it are relative to.
  base: (page) => new URL(`../${page.dataset.page}.html`, location.href),

  async prepare() {
    // Of the site: what leads around a page, marks of what can be folded, and of the checks all but their tables.
    const checks = "#checks .cell_input, #checks .cell_output > .stream";
    const gone = `.headerlink, button, input, [hidden], .sd-summary-state-marker, .take-along, script, link, ${checks}`;
    for (const one of document.querySelectorAll(`section.page :is(${gone})`)) one.remove();
    Paper.unfold();
    for (const strip of document.querySelectorAll(".book-frames .strip")) await Paper.still(strip);
    for (const caption of document.querySelectorAll("section.page figcaption")) Paper.forget(caption);
    for (const canvas of document.querySelectorAll("section.page canvas")) Paper.picture(canvas);
    for (const image of document.querySelectorAll("section.page img")) {
      image.removeAttribute("loading");
      const link = image.closest("a");
      if (link?.href.match(/_images\/|^data:/)) link.replaceWith(...link.childNodes);
    }
  },

  // The code of a figure and the cell that starts a notebook stay away; other folds become boxes with a heading.
  unfold() {
    for (const fold of document.querySelectorAll("section.page details")) {
      const cell = fold.closest(".cell");
      const summary = fold.querySelector("summary");
      const title = (summary.querySelector(".collapsed") ?? summary).textContent.trim();
      if (cell?.matches(".tag_hide-cell") && title === "Setup") cell.remove();
      else if (cell?.matches(".tag_hide-input") && fold.matches(".hide")) fold.remove();
      else {
        const box = document.createElement("div");
        const head = document.createElement("p");
        box.className = "unfolded";
        head.className = "unfolded-title";
        if (fold.id) box.id = fold.id;
        head.append(...(summary.querySelector(".collapsed") ? [title] : summary.childNodes));
        summary.remove();
        box.append(head, ...fold.childNodes);
        fold.replaceWith(box);
      }
    }
  },

  // One frame of a strip of frames, cut out.
  async still(strip) {
    const image = strip.querySelector("img");
    await image.decode();
    const { naturalWidth: width, naturalHeight: all } = image;
    const height = all / Number(strip.style.getPropertyValue("--count"));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const top = Number(strip.style.getPropertyValue("--frame")) * height;
    canvas.getContext("2d").drawImage(image, 0, top, width, height, 0, 0, width, height);
    const still = Object.assign(new Image(), { src: canvas.toDataURL(), alt: image.alt, className: "still" });
    still.style.width = strip.closest(".player").style.maxWidth;
    await still.decode();
    const label = strip.closest(".player").querySelector(".controls span");
    const count = strip.style.getPropertyValue("--count");
    label?.append(` (frame ${Number(strip.style.getPropertyValue("--frame")) + 1} of ${count}; on the site they move)`);
    strip.replaceWith(still);
  },

  // What a caption tells the reader to do with a slider that is not there.
  forget(caption) {
    const texts = document.createTreeWalker(caption, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(/\s*Drag the slider, or press play\./, "");
  },

  // The picture that stands in a widget before its script draws there.
  picture(canvas) {
    const still = Object.assign(new Image(), { alt: canvas.getAttribute("aria-label") ?? "", className: "still drawn-still" });
    still.src = canvas.style.backgroundImage.slice(5, -2);
    canvas.replaceWith(still);
  },

  // Rewrite what a link leads to: `tell(slug, id)` for a place in the book; other files of the site are no links here.
  relink(tell) {
    const known = new Map(Paper.pages().map((page) => [Paper.base(page).pathname, page]));
    for (const page of Paper.pages()) {
      for (const link of page.querySelectorAll("a[href]")) {
        const target = new URL(link.getAttribute("href"), Paper.base(page));
        const other = known.get(target.pathname);
        const id = decodeURIComponent(target.hash.slice(1));
        if (target.protocol.startsWith("http")) continue;
        if (other && (!id || other.querySelector(`[id="${CSS.escape(id)}"]`))) link.setAttribute("href", tell(Paper.slug(other), id));
        else link.replaceWith(...link.childNodes);
      }
    }
  },

  // One document: each page's ids get its name in front.
  linkWithin() {
    Paper.relink((slug, id) => `#${id ? `${slug}--${id}` : slug}`);
    for (const page of Paper.pages()) {
      for (const one of page.querySelectorAll("[id]")) {
        if (!one.closest("svg")) one.id = `${Paper.slug(page)}--${one.id}`;
      }
      page.id = Paper.slug(page);
    }
  },

  // Set the formulas, and make smaller what is wider than the page: one of them would shrink all pages.
  async typeset() {
    await MathJax.typesetPromise();
    const wide = [...document.querySelectorAll("mjx-container")].map((one) => [one, one.scrollWidth, one.closest("p, div, section").clientWidth]);
    for (const [one, width, room] of wide) if (width > room) one.style.fontSize = `${Math.floor((119 * room) / width)}%`;
  },

  // Has this browser a letter of Chinese, or the same box for all of them?
  knowsChinese() {
    const draw = (letter) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 32 });
      const pen = canvas.getContext("2d");
      pen.font = "24px sans-serif";
      pen.fillText(letter, 2, 26);
      return canvas.toDataURL();
    };
    return draw("产") !== draw("品");
  },

  // Each page as XML, with its formulas as MathML: [{slug, title, body, math, svg, headings: [[level, id, text]]}].
  async extract() {
    await MathJax.startup.promise;
    Paper.relink((slug, id) => `${slug}.xhtml${id ? `#${id}` : ""}`);
    return Paper.pages().map((page) => {
      for (const style of page.querySelectorAll("style")) if (!style.closest("svg")) style.remove();
      for (const formula of page.querySelectorAll(".math")) Paper.set(formula);
      for (const one of page.querySelectorAll("[tabindex], [role], [aria-label]")) {
        if (!one.closest("svg, math")) for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
      }
      for (const image of page.querySelectorAll("img")) {
        if (!image.src.startsWith("data:")) image.setAttribute("src", new URL(image.getAttribute("src"), Paper.base(page)).href);
      }
      const seen = new Set();
      for (const one of page.querySelectorAll("[id]")) seen.has(one.id) ? one.removeAttribute("id") : seen.add(one.id);
      const headings = [...page.querySelectorAll("h1, h2")].map((one) => {
        const place = one.closest("section[id]");
        return [Number(one.tagName[1]), place?.id ?? "", one.textContent.trim()];
      });
      return {
        slug: Paper.slug(page),
        title: page.querySelector("h1").textContent.trim(),
        body: [...page.childNodes].map((node) => new XMLSerializer().serializeToString(node)).join(""),
        math: Boolean(page.querySelector("math")),
        svg: Boolean(page.querySelector("svg")),
        headings,
      };
    });
  },

  // A formula of TeX becomes MathML, with the TeX as its text for who has no eyes for it.
  set(formula) {
    const number = formula.querySelector(".eqno");
    number?.remove();
    const text = formula.textContent.trim();
    const display = !text.startsWith("\\(");
    const tex = text.replace(/^\\[([]|\\[)\]]$/g, "").trim();
    const box = document.createElement("div");
    box.innerHTML = MathJax.tex2mml(tex, { display });
    const math = box.querySelector("math");
    for (const part of [math, ...math.querySelectorAll("*")]) {
      for (const { name } of [...part.attributes]) if (name.startsWith("data-")) part.removeAttribute(name);
      if (part.getAttribute("mathvariant")?.startsWith("-tex")) part.setAttribute("mathvariant", "script");
    }
    math.setAttribute("alttext", tex);
    formula.replaceChildren(...(number ? [number] : []), math);
  },
};
