// The search box: Fuse.js over the entries that the site brings along. They are fetched when somebody first looks for something.
"use strict";
(() => {
  const input = document.getElementById("find");
  const list = document.getElementById("found");
  const body = document.body.dataset;
  const root = new URL(body.root, location.href);
  const keys = [{ name: "t", weight: 3 }, { name: "a", weight: 3 }, { name: "n", weight: 2 }, { name: "p", weight: 2 }, { name: "s", weight: 0.5 }, { name: "m", weight: 0.5 }];
  const options = { keys, includeScore: true, ignoreLocation: true, threshold: 0.18, minMatchCharLength: 2, ignoreFieldNorm: false };
  const most = 30;
  let entries = null, codes = null, chosen = -1, wanted = 0;

  const script = (address) => new Promise((done, failed) => {
    const tag = document.createElement("script");
    tag.src = address;
    tag.onload = done;
    tag.onerror = failed;
    document.head.append(tag);
  });
  const index = async () => {
    if (entries) return;
    await script(body.index);
    entries = new Fuse(window.CATALOG_ENTRIES, options);
    script(body.codes).then(() => { codes = new Fuse(window.CATALOG_CODES, { ...options, threshold: 0.05 }); show(); });
  };
  // What is called exactly so comes first, then what begins so; the rest in the order of Fuse.
  const rank = (text) => (found) => {
    const e = found.item, names = [e.t, e.n, ...e.a, ...e.p].map((n) => n.toLowerCase());
    return names.includes(text) ? 0 : names.some((n) => n.startsWith(text)) ? 1 : names.some((n) => n.includes(text)) ? 2 : 3;
  };
  const search = (text) => {
    const of = rank(text);
    const all = [...entries.search(text, { limit: 200 }), ...(codes ? codes.search(text, { limit: 60 }) : [])];
    return all.map((f, i) => [of(f), f.item.k === "代码" ? 1 : 0, i, f.item]).sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]).slice(0, most).map((f) => f[3]);
  };
  const part = (name, text) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = text;
    return span;
  };
  const show = async () => {
    const mine = ++wanted;
    const text = input.value.trim().toLowerCase().replace(/'/g, "").replace(/^([a-z]+( [a-z]+)+)$/, (all) => all.replace(/ /g, ""));
    if (text.length < 2) { close(); return; }
    try { await index(); } catch { list.replaceChildren(Object.assign(document.createElement("p"), { textContent: "查找用的文件没有取到；刷新页面再试" })); list.hidden = false; return; }
    if (mine !== wanted) return;
    const found = search(text);
    list.replaceChildren(...found.map((e) => {
      const link = document.createElement("a");
      link.href = new URL(e.u, root).href;
      link.setAttribute("role", "option");
      link.append(part("kind", e.k), part("title", e.t), ...(e.a.length ? [part("name", `也称${e.a.join("、")}`)] : []), part("name", e.n), part("says", e.s));
      return link;
    }));
    if (!found.length) list.append(Object.assign(document.createElement("p"), { textContent: "没有找到；换一个说法，或只写其中两个字" }));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    chosen = -1;
  };
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); };
  const choose = (step) => {
    const links = [...list.querySelectorAll("a")];
    if (!links.length) return;
    chosen = (chosen + step + links.length) % links.length;
    links.forEach((l, i) => l.classList.toggle("on", i === chosen));
    links[chosen].scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", show);
  input.addEventListener("focus", () => { if (input.value) show(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); choose(1); }
    if (event.key === "ArrowUp") { event.preventDefault(); choose(-1); }
    if (event.key === "Escape") close();
  });
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const links = list.querySelectorAll("a");
    if (links.length) location.href = links[Math.max(chosen, 0)].href;
  });
  document.addEventListener("click", (event) => { if (!input.form.contains(event.target)) close(); });
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.from).textContent;
      try { await navigator.clipboard.writeText(text); button.textContent = "已复制"; } catch { button.textContent = "请用鼠标选取"; }
    });
  }
})();
