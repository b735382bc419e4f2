// Changes the page only where something has changed, so that focus, selection and readers stay.

export const find = (id) => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Fills a table's body. Each row is a list of cells: a text, or {text, className, href}. The first
// cell is the row's header.
export function fillTable(table, rows) {
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, number) => {
    const row = body.rows[number] ?? body.insertRow();
    cells.forEach((cell, column) => {
      const { text, className = "" } = typeof cell === "object" ? cell : { text: cell };
      let node = row.cells[column];
      if (!node) {
        node = make(column === 0 ? "th" : "td");
        if (column === 0) node.scope = "row";
        row.append(node);
      }
      setText(node, text);
      if (node.className !== className) node.className = className;
    });
  });
  table.hidden = rows.length === 0;
}

// Fills a list of names and values.
export function fillFacts(list, facts) {
  facts.forEach(([name, value], number) => {
    if (!list.children[2 * number]) list.append(make("dt"), make("dd"));
    setText(list.children[2 * number], name);
    setText(list.children[2 * number + 1], value);
  });
  while (list.children.length > 2 * facts.length) list.lastChild.remove();
}

export const number = (text) => ({ text, className: "number" });
