// Filter, sort and fold; the report is whole without any of it.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const tools = document.getElementById("tools");
  const query = document.getElementById("q");
  const source = document.getElementById("source");
  const shown = document.getElementById("shown");
  const groups = all(".group").map((element) => ({
    element,
    count: element.querySelector("[data-count]"),
    figure: element.querySelector("[data-count]").textContent,
    wasOpen: element.open,
    rows: all("tbody tr", element).map((row) => ({ row, text: null })),
  }));
  const total = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const number = (n) => n.toLocaleString("en");
  let filtering = false;

  const checked = (name) => all(`input[name=${name}]:checked`, tools).map((box) => box.value);

  function apply() {
    const words = query.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const severities = new Set(checked("sev"));
    const states = new Set(checked("state"));
    const where = source ? source.value : "";
    const active = words.length + severities.size + states.size > 0 || where !== "";
    let found = 0;
    for (const group of groups) {
      const heading = words.length ? group.element.querySelector("summary .name").textContent.toLowerCase() : "";
      let here = 0;
      for (const entry of group.rows) {
        const data = entry.row.dataset;
        if (words.length && entry.text === null) entry.text = entry.row.textContent.toLowerCase();
        const fits = (!severities.size || severities.has(data.v)) && (!states.size || states.has(data.s)) &&
          (!where || (data.o ?? group.element.dataset.source) === where) &&
          words.every((word) => entry.text.includes(word) || heading.includes(word));
        entry.row.hidden = !fits;
        here += fits ? 1 : 0;
      }
      if (active && !filtering) group.wasOpen = group.element.open;
      group.element.hidden = active && here === 0;
      if (active) group.element.open = here > 0 && (found < 500 || here < 50);
      else if (filtering) group.element.open = group.wasOpen;
      group.count.textContent = active ? `${number(here)} of ${group.figure}` : group.figure;
      found += here;
    }
    filtering = active;
    document.documentElement.classList.toggle("filtering", active);
    shown.textContent = !active ? `${number(total)} findings` :
      found ? `${number(found)} of ${number(total)} findings match` : "Nothing matches the filter.";
    remember(severities, states, where);
  }

  function remember(severities, states, where) {
    const kept = new URLSearchParams();
    if (query.value.trim()) kept.set("q", query.value.trim());
    if (severities.size) kept.set("severity", [...severities].join(","));
    if (states.size) kept.set("state", [...states].join(","));
    if (where) kept.set("source", where);
    const hash = kept.size ? `#${kept}` : "";
    const anchor = location.hash && !location.hash.includes("=");
    if (hash !== location.hash && !(anchor && !hash)) {
      history.replaceState(null, "", hash || location.pathname + location.search);
    }
  }

  function recall() {
    const kept = new URLSearchParams(location.hash.slice(1));
    if (location.hash && !location.hash.includes("=")) return;
    query.value = kept.get("q") ?? "";
    for (const [name, key] of [["sev", "severity"], ["state", "state"]]) {
      const wanted = new Set((kept.get(key) ?? "").split(","));
      for (const box of all(`input[name=${name}]`, tools)) box.checked = wanted.has(box.value);
    }
    if (source) source.value = kept.get("source") ?? "";
  }

  const ranks = ["new", "reopened", "persisting", "unverified", "held", "suppressed", "resolved"];
  function sort(table, column, heading) {
    const downwards = heading.getAttribute("aria-sort") === "ascending";
    for (const other of all("th", table)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", downwards ? "descending" : "ascending");
    const keyed = all("tbody tr", table).map((row) => ({
      row, key: column === 0 ? String(ranks.indexOf(row.dataset.s)) : row.cells[column].textContent,
    }));
    const collator = new Intl.Collator("en", { numeric: true });
    keyed.sort((a, b) => (downwards ? -1 : 1) * collator.compare(a.key, b.key));
    const [first, more] = table.tBodies;
    const kept = more ? first.rows.length : keyed.length;
    first.replaceChildren(...keyed.slice(0, kept).map((entry) => entry.row));
    if (more) more.replaceChildren(...keyed.slice(kept).map((entry) => entry.row));
  }

  for (const table of all("table.subjects")) {
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, column, heading));
      heading.replaceChildren(button);
    });
  }

  let waiting = 0;
  query.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 90); });
  tools.addEventListener("change", (event) => { if (event.target !== query) apply(); });
  tools.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
  tools.addEventListener("reset", () => setTimeout(apply));
  document.getElementById("expand").addEventListener("click", () => { for (const g of groups) g.element.open = true; });
  document.getElementById("collapse").addEventListener("click", () => { for (const g of groups) g.element.open = false; });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input[type=search], select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      query.focus();
      query.select();
    } else if (event.key === "Escape" && event.target === query) {
      query.value = "";
      apply();
    }
  });
  addEventListener("hashchange", () => { recall(); apply(); });
  tools.hidden = false;
  recall();
  apply();
})();
