// Asks the job for the answer to a record. The key stands in the request's body, not in an address.

import { find, make, setText } from "./dom.js";
import { clock } from "./format.js";

export function showSearch(facts) {
  find("search").hidden = !facts.shows_records;
}

find("search-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = find("search-key").value;
  find("search-found").replaceChildren();
  setText(find("search-note"), "Looking …");
  try {
    const answer = await fetch("/search", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }),
    });
    const found = await answer.json();
    setText(find("search-note"), found.words);
    find("search-found").replaceChildren(...(found.messages ?? []).map(describe));
  } catch {
    setText(find("search-note"), "The job does not answer.");
  }
});

function describe(message) {
  const kind = message.kind === "prediction" ? "Prediction" : "Dead letter";
  const place = `${message.topic}, partition ${message.partition}, offset ${message.offset}`;
  return make("div", { className: "found" },
    make("p", {}, make("strong", { textContent: kind }), ` of ${clock(message.at_s, Date.now() / 1000)} in ${place}`),
    make("pre", { textContent: message.text, tabIndex: 0 }));
}
