// SPDX-FileCopyrightText: Expanso Edge collection contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Filters and sorting for a page that can be read without them. Nothing is made from text: rows are shown, hidden and moved.
"use strict";
(() => {
  const text = new WeakMap(); // what a row says, in small letters; read when it is needed first
  const said = (row) => {
    if (!text.has(row)) text.set(row, row.textContent.toLowerCase().replace(/\s+/g, " "));
    return text.get(row);
  };
  const number = (count) => count.toLocaleString("en");

  // The rows of one body. Only the first of many are shown, until the reader asks for all.
  class Body {
    constructor(body) {
      this.body = body;
      this.rows = [...body.children];
      this.limit = Number(body.dataset.limit);
      this.button = document.createElement("button");
      this.button.type = "button";
      this.button.className = "more";
      this.button.addEventListener("click", () => {
        const next = this.matching[this.limit];
        this.limit = Infinity;
        this.show();
        const target = next.querySelector("summary, a");
        if (target) target.focus();
      });
      (body.closest("table") || body).after(this.button);
      this.matching = this.rows;
    }
    filter(matches) {
      this.matching = this.rows.filter(matches);
      this.show();
      return this.matching.length;
    }
    show() {
      const shown = new Set(this.matching.length > this.limit ? this.matching.slice(0, this.limit) : this.matching);
      for (const row of this.rows) row.hidden = !shown.has(row);
      this.button.hidden = shown.size === this.matching.length;
      this.button.textContent = `Show all ${number(this.matching.length)}`;
    }
    sort(column, descending) {
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      const key = (row) => {
        const cell = row.cells[column];
        return "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim();
      };
      const keys = new Map(this.rows.map((row) => [row, key(row)]));
      this.rows.sort((a, b) => {
        const [one, other] = [keys.get(a), keys.get(b)];
        if (!one.trim() || !other.trim()) return !one.trim() - !other.trim(); // what is unknown comes last
        return compare(one, other) * (descending ? -1 : 1);
      });
      const kept = new Set(this.matching);
      this.matching = this.rows.filter((row) => kept.has(row));
      this.body.append(...this.rows);
      this.show();
    }
  }
  const bodies = new Map([...document.querySelectorAll("[data-limit]")].map((body) => [body, new Body(body)]));

  // A part of the page with a form that filters its rows.
  class List {
    constructor(section) {
      this.form = section.querySelector("form.filters");
      this.search = this.form.querySelector("input");
      this.choices = [...this.form.querySelectorAll("select")];
      this.count = this.form.querySelector(".count");
      this.unit = section.dataset.list;
      this.bodies = [...section.querySelectorAll("[data-limit]")].map((body) => bodies.get(body));
      this.groups = [...section.querySelectorAll("details.group")].map((group) => ({
        group, open: group.open, badge: group.querySelector("summary .badge"), bodies: this.bodies.filter((one) => group.contains(one.body)),
      }));
      this.total = this.bodies.reduce((sum, one) => sum + one.rows.length, 0);
      this.form.hidden = false;
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("input", () => this.apply());
      this.form.addEventListener("reset", () => setTimeout(() => this.apply()));
    }
    set(values) {
      this.search.value = "";
      for (const choice of this.choices) choice.value = values[choice.dataset.key] || "";
      this.apply();
    }
    apply() {
      const wanted = this.search.value.toLowerCase().trim().split(/\s+/).filter(Boolean);
      const chosen = this.choices.filter((choice) => choice.value).map((choice) => [choice.dataset.key, choice.value]);
      const active = wanted.length + chosen.length > 0;
      const matches = (row) =>
        chosen.every(([key, value]) => (row.dataset[key] || "").split(" ").includes(value)) && wanted.every((word) => said(row).includes(word));
      let found = 0;
      for (const one of this.bodies) found += one.filter(matches);
      for (const { group, open, badge, bodies: inside } of this.groups) {
        const left = inside.reduce((sum, one) => sum + one.matching.length, 0);
        const all = inside.reduce((sum, one) => sum + one.rows.length, 0);
        group.hidden = active && !left;
        group.open = active ? left <= 10 || open : open;
        badge.textContent = left === all ? number(all) : `${number(left)} of ${number(all)}`;
      }
      const unit = this.unit + (this.total === 1 ? "" : "s");
      this.count.textContent = active ? `${number(found)} of ${number(this.total)} ${unit}` : `${number(this.total)} ${unit}`;
    }
  }
  const lists = new Map();
  for (const section of document.querySelectorAll("[data-list]")) {
    if (section.querySelector("form.filters")) lists.set(section.id, new List(section));
  }
  for (const list of lists.values()) list.apply();
  for (const one of bodies.values()) one.show();

  // Headers that sort.
  for (const table of document.querySelectorAll("table.sort")) {
    const body = bodies.get(table.tBodies[0]);
    if (body.rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        body.sort(column, descending);
      });
    });
  }

  // Links that filter, and links to a row that may be hidden.
  const reveal = (id) => {
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.hidden) {
      const list = lists.get(target.closest("[data-list]").id);
      list.set({});
      const body = bodies.get(target.parentElement);
      if (target.hidden) {
        body.limit = Infinity;
        body.show();
      }
    }
    const details = target.matches("details") ? target : target.matches("tr") ? target.querySelector("details") : null;
    if (details) details.open = true;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link) return;
    const { show, set } = link.dataset;
    if (show) lists.get(show).set(Object.fromEntries(set.split(" ").map((one) => one.split("="))));
    reveal(link.hash.slice(1));
  });
  reveal(location.hash.slice(1));

  // Cells stay cells for screen readers where a narrow page shows them as blocks.
  for (const [selector, role] of [["table", "table"], ["thead, tbody", "rowgroup"], ["tr", "row"], ["td", "cell"], ["thead th", "columnheader"], ["tbody th", "rowheader"]]) {
    for (const one of document.querySelectorAll(selector)) one.setAttribute("role", role);
  }

  // Paper has no buttons: everything that the filters leave is printed.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
    for (const { matching } of bodies.values()) for (const row of matching) row.hidden = false;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    for (const one of bodies.values()) one.show();
  });
})();
