// Everybody's page: the departments that may ask, since when, how often, and how that ended.

import { attempt, byId, call } from "./desk.js";

const date = (iso) => new Date(iso).toLocaleDateString([], { dateStyle: "medium" });

attempt(async () => {
  const { agencies } = await call("GET", "v1/agencies");
  const rows = agencies.map(({ agency, joined, suspended, requests, closed, shared }) => {
    const row = document.createElement("tr");
    const name = suspended ? `${agency} (suspended)` : agency;
    const texts = [name, date(joined), requests, closed, shared].map(String);
    row.append(...texts.map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
    return row;
  });
  byId("partners").replaceChildren(...rows);
  if (agencies.length === 0) byId("status").textContent = "No department takes part.";
})();
