({
  // Contrast of every visible text with what lies behind it (WCAG 2.2, relative luminance).
  contrast() {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parse = (css) => {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = css;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = (top, below) =>
      top.slice(0, 3).map((value, k) => value * top[3] + below[k] * (1 - top[3]));
    const behind = (element) => {
      const layers = [];
      for (let e = element; e; e = e.parentElement)
        layers.push(parse(getComputedStyle(e).backgroundColor));
      return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
    };
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
      const [r, g, b] = colour.map((value) => linear(value / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      if (!text || element.closest("script,title,desc") || !element.getClientRects().length)
        continue;
      const style = getComputedStyle(element);
      const back = behind(element);
      const ink = over(parse(element.closest("svg") ? style.fill : style.color), back);
      const [low, high] = [luminance(ink), luminance(back)].sort((x, y) => x - y);
      found.push([(high + 0.05) / (low + 0.05), text.slice(0, 40), element.className.toString()]);
    }
    return found;
  },

  // Labels, names, references and headings; a list of what is wrong.
  structure() {
    const wrong = [];
    const check = (selector, isRight) => {
      for (const e of document.querySelectorAll(selector))
        if (!isRight(e)) wrong.push(`${selector}: ${e.outerHTML.slice(0, 120)}`);
    };
    const byId = (id) => document.getElementById(id);
    const isNamed = (e) => e.hasAttribute("aria-label") || e.querySelector("title");
    check("[id]", (e) => document.querySelectorAll(`#${CSS.escape(e.id)}`).length === 1);
    check("[aria-labelledby]", (e) => e.getAttribute("aria-labelledby").split(" ").every(byId));
    check("a[href^='#']", (e) => byId(e.hash.slice(1)));
    check("img", (e) => e.alt && e.hasAttribute("width") && e.hasAttribute("height"));
    check("svg:not([aria-hidden])", (e) => e.getAttribute("role") === "img" && isNamed(e));
    check("audio, nav, [role=region], [role=group]", (e) => e.getAttribute("aria-label"));
    check("button", (e) => e.textContent.trim() && e.type === "button");
    check("th", (e) => e.scope);
    check("table", (e) => e.tHead && (e.caption || e.closest("section").querySelector("h2")));
    check(".scroll", (e) => e.tabIndex === 0);
    let level = 0;
    for (const e of document.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
      if (Number(e.tagName[1]) > level + 1) wrong.push(`${e.textContent} skips a level`);
      level = Number(e.tagName[1]);
    }
    for (const name of ["h1", "main", "html[lang]", "head > title"])
      if (document.querySelectorAll(name).length !== 1) wrong.push(`not one ${name}`);
    return wrong;
  },
})
