
"use strict";
// Opens the sealed lists with a passphrase and shows them. Text of a record only ever becomes text of the page
// (textContent): the policy of the page refuses anything else. Nothing is kept when the page is closed.
(() => {
  const sealed = JSON.parse(document.getElementById("sealed").textContent);
  const byId = (id) => document.getElementById(id);
  const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const said = new TextEncoder();
  const answers = new Map();  // by row reference: what was chosen, not yet saved or saved
  let lists, clinic, unsaved = false, numbered = 0;

  // ------------------------------------------------------------------------------------------------ opening

  async function opened(passphrase) {
    const words = passphrase.normalize("NFKC").trim().replace(/\s+/g, " ");
    const typed = await crypto.subtle.importKey("raw", said.encode(words), "PBKDF2", false, ["deriveKey"]);
    const way = { name: "PBKDF2", hash: "SHA-256", salt: bytes(sealed.salt), iterations: sealed.iterations };
    const key = await crypto.subtle.deriveKey(way, typed, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    const seal = { name: "AES-GCM", iv: bytes(sealed.nonce), additionalData: said.encode(sealed.about) };
    const packed = new Blob([await crypto.subtle.decrypt(seal, key, bytes(sealed.content))]);
    return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  function tell(text) {
    byId("problem").textContent = text;
    byId("problem").hidden = !text;
  }

  if (!globalThis.crypto || !crypto.subtle || !globalThis.DecompressionStream) {
    tell("This browser cannot open the page from here. Open the file itself, from the share or a folder (file://), or from an address that begins with https://, in Edge, Chrome or Firefox of 2023 or later. The same lists are in the workbooks beside it.");
    byId("unlock").disabled = true;
  }

  byId("shown").addEventListener("change", (event) => {
    byId("passphrase").type = event.target.checked ? "text" : "password";
  });

  byId("open").addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("");
    byId("unlock").disabled = true;
    byId("unlock").textContent = "Opening …";
    try {
      lists = await opened(byId("passphrase").value);
    } catch {
      tell("This passphrase does not open the page. Look at capitals and blanks, and whether it is the page of your practice.");
    }
    byId("unlock").disabled = false;
    byId("unlock").textContent = "Open the lists";
    byId("passphrase").value = "";
    if (!lists) { byId("passphrase").focus(); return; }
    byId("open").hidden = true;
    byId("lock").hidden = false;
    byId("lists").hidden = false;
    draw();
  });

  byId("lock").addEventListener("click", () => location.reload());  // asks first while answers are not saved
  addEventListener("beforeunload", (event) => { if (unsaved) { event.preventDefault(); } });

  // ----------------------------------------------------------------------------------------------- making

  function make(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in made) { made[name] = value; } else { made.setAttribute(name, value); }
    }
    made.append(...children.filter((each) => each !== null && each !== undefined && each !== ""));
    return made;
  }

  const own = (text) => make("bdi", {}, text);  // text of a record keeps its reading direction to itself
  const items = (texts) => (texts.length ? make("ul", {}, ...texts.map((each) => make("li", {}, own(each)))) : "");
  const nameOf = (row) => [row.family_name, row.given_names].filter(Boolean).join(", ") || "Name not known";
  const people = (count) => `${count} ${count === 1 ? "person" : "people"}`;

  function terms(pairs) {
    const list = make("dl", { className: "facts" });
    for (const [term, text] of pairs) {
      if (text) { list.append(make("dt", {}, term), make("dd", {}, own(text))); }
    }
    return list.children.length ? list : "";
  }

  const WHO = "NHS number, born, row";
  const who = (row) => [row.nhs_number, row.date_of_birth && `born ${row.date_of_birth}`, row.row_reference].filter(Boolean).join("\n");

  function table(caption, heads, rows, isCount) {
    const used = heads.map((_, at) => at).filter((at) => rows.some((cells) => cells[at] !== undefined && cells[at] !== ""));
    const look = (at) => (isCount ? "figure" : heads[at] === WHO ? "unbroken" : "");
    const head = make("tr", {}, ...used.map((at) => make("th", { scope: "col" }, heads[at])));
    const body = rows.map((cells) => make("tr", {}, ...used.map((at) =>
      make(at ? "td" : "th", at ? { className: look(at) } : { scope: "row" }, own(String(cells[at] ?? ""))))));
    const made = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
    return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, made);
  }

  function field(label, control) {
    control.id = `field-${numbered += 1}`;
    return make("div", {}, make("label", { htmlFor: control.id }, label), control);
  }

  function choice(texts, first) {
    return make("select", {}, make("option", { value: "" }, first), ...texts.map((each) => make("option", { value: each }, each)));
  }

  // ----------------------------------------------------------------------------------------------- the page

  function draw() {
    const buttons = (lists.clinics || []).map((each) => make("li", {}, make("button", {
      type: "button", onclick: (event) => show(each, event.currentTarget),
    }, `${each.label}: ${(each.listed || []).length}`)));
    // From what was sealed, not from the frame around it: the two could be of two practices.
    document.querySelector("h1").textContent = `This week's lists: ${lists.practice}`;
    byId("week").textContent = lists.week;
    byId("lists").append(
      make("p", { className: "support" }, lists.support),
      ...(lists.notices || []).map((each) => make("p", { className: "notice" }, own(each))),
      make("nav", { ariaLabel: "Clinics and worklists, with how many people are on each" }, make("ul", {}, ...buttons)),
      make("div", { id: "clinic" }),
      saveBar(),
      make("footer", {},
        make("p", {}, `Data up to: ${(lists.sources || []).map(([name, day]) => `${name} ${day}`).join("; ")}.`),
        ...(lists.withheld || []).map(([why, many]) => make("p", {}, `Left out in the whole area because of an objection to this use of their data (${why}): ${many} people. Their care is not affected.`)),
        make("p", {}, `A concern about a list, or about a person on it or missing from it: ${lists.contact}`),
        make("p", {}, lists.run)),
    );
    if (buttons.length) { buttons[0].firstChild.click(); }
  }

  function show(chosen, button) {
    clinic = chosen;
    for (const each of document.querySelectorAll("nav button")) { each.removeAttribute("aria-current"); }
    button.setAttribute("aria-current", "true");
    const heading = make("h2", { tabIndex: -1 }, chosen.label);
    byId("clinic").replaceChildren(
      heading,
      ...(chosen.notices || []).map((each) => make("p", { className: "notice" }, own(each))),
      about(),
      filters(),
      make("p", { className: "count", id: "count", role: "status" }),
      make("p", { className: "printed", id: "only" }),
      section("On the list", "listed", `Nobody has a place on this list this week.`),
      section("Waiting for a place", "waiting", "Nobody waits for this clinic."),
      tables("Changes since last week", "changes",
        ["Name", WHO, "What changed", "Why"],
        (row) => [nameOf(row), who(row), row.change, row.why],
        "Nobody came onto this list or left it since last week."),
      tables("Not listed and why", "not_listed",
        ["Name", WHO, "What happens instead", "Why not on this list", "Data gaps", "Since last week"],
        (row) => [nameOf(row), who(row), row.what_happens, row.why, row.data_gaps,
          [row.since_last_week, row.previous_outcome].filter(Boolean).join("\n")],
        "Everybody on the pathway at this practice is on this list."),
    );
    filter();
    heading.focus();
  }

  function about() {
    const sessions = (clinic.sessions || []).map(([day, places, roles, where]) => `${day}: ${places} places, ${roles}, ${where}`);
    const none = clinic.note || (clinic.is_worklist ? "A worklist without sessions: work through it in order of rank." : "No session is planned for this practice in the coming week.");
    return make("div", {},
      sessions.length ? items(sessions) : make("p", {}, none),
      clinic.roles ? make("p", {}, `Proposed to be there: ${clinic.roles.join("; ")}.`) : "",
      make("details", { className: "screen" }, make("summary", {}, "About this list: what is asked, who is where, versions"),
        (clinic.asked || []).length ? make("p", {}, "Asked about each person:") : "", items(clinic.asked || []),
        table("People, from everybody on the pathway to this list", ["Where they are", ...(clinic.count_columns || [])], clinic.counts || [], true),
        make("p", { className: "small" }, "A person on several pathways is counted once in each column."),
        ...(clinic.pathways || []).map((each) => make("p", { className: "small" }, each))));
  }

  // ------------------------------------------------------------------------------------------------ filters

  function counted(rows, of) {
    const found = new Map();
    for (const row of rows) { for (const each of new Set(of(row))) { found.set(each, (found.get(each) || 0) + 1); } }
    return [...found].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0], "en"));
  }

  function options(rows, of, first) {
    const made = choice([], first);
    for (const [text, many] of counted(rows, of)) { made.append(make("option", { value: text }, `${text} (${many})`)); }
    made.addEventListener("change", filter);
    return made;
  }

  function filters() {
    const rows = [...(clinic.listed || []), ...(clinic.waiting || [])];
    const search = make("input", { type: "search", autocomplete: "off", oninput: filter });
    const isNew = make("input", { type: "checkbox", onchange: filter });
    const whole = make("input", { type: "checkbox", id: "whole" });
    const tier = options(rows, (row) => (row.tier ? [row.tier] : []), "All");
    const role = options(rows, (row) => row.asks || [], "All");
    const reason = options(rows, (row) => row.labels || [], "All");
    clinic.asked_for = () => ({
      text: search.value.trim().toLowerCase(), digits: search.value.replace(/\s/g, ""), is_new: isNew.checked,
      tier: tier.value, role: role.value, reason: reason.value,
    });
    const clear = () => {
      search.value = tier.value = role.value = reason.value = "";
      isNew.checked = false;
      filter();
    };
    const find = field("Name or NHS number", search);
    find.className = "wide";
    return make("div", { className: "bar", role: "search", ariaLabel: "Find people on these lists" },
      find, field(clinic.tiers || "Priority", tier), field("Questions for", role), field("Reason", reason),
      make("div", {}, make("label", { className: "tick" }, isNew, "New on the list")),
      make("div", {}, make("button", { type: "button", onclick: clear }, "Show everybody")),
      make("div", {}, make("label", { className: "tick" }, whole, "Print with the reasons in full")),
      make("div", {}, make("button", { type: "button", onclick: () => print() }, "Print this list")));
  }

  function isAsked(row, asked) {
    const text = `${nameOf(row)} ${row.given_names || ""} ${row.family_name || ""} ${row.nhs_number || ""} ${row.row_reference}`.toLowerCase();
    return (!asked.text || text.includes(asked.text) || (asked.digits.length > 2 && /^[0-9]+$/.test(asked.digits) && (row.nhs_number || "").replace(/\s/g, "").includes(asked.digits)))
      && (!asked.is_new || row.is_new || row.change === "New on the list")
      && (!asked.tier || row.tier === asked.tier)
      && (!asked.role || (row.asks || []).includes(asked.role))
      && (!asked.reason || (row.labels || []).includes(asked.reason));
  }

  function filter() {
    const asked = clinic.asked_for();
    const shown = {}, words = { listed: "on the list", waiting: "waiting", changes: "changed", not_listed: "not listed" };
    for (const part of Object.keys(words)) {
      const rows = clinic[part] || [], place = byId(part);
      const kept = rows.filter((row) => isAsked(row, asked));
      shown[part] = kept.length === rows.length ? `${rows.length}` : `${kept.length} of ${rows.length}`;
      byId(`${part}-count`).textContent = shown[part];
      place.fill(new Set(kept));
    }
    byId("count").textContent = `Shown: ${Object.entries(words).map(([part, text]) => `${shown[part]} ${text}`).join(", ")}`;
    const limits = [
      asked.text && "a search", asked.is_new && "who is new on the list", asked.tier && `${(clinic.tiers || "Priority").toLowerCase()} ${asked.tier}`,
      asked.role && `questions for ${asked.role}`, asked.reason && `reason ${asked.reason}`].filter(Boolean);
    byId("only").textContent = limits.length ? `NOT THE WHOLE LIST: only ${limits.join(", ")}. ${byId("count").textContent}.` : "";
  }

  // ------------------------------------------------------------------------------------------------- people

  function section(title, part, empty) {
    const cards = new Map((clinic[part] || []).map((row) => [row, card(row, part)]));
    const list = make("ol", { className: "people", id: part }, ...cards.values());
    list.fill = (kept) => { for (const [row, made] of cards) { made.hidden = !kept.has(row); } };
    return make("section", {},
      make("h3", {}, `${title}: `, make("span", { id: `${part}-count` })),
      cards.size ? "" : make("p", {}, empty), list);
  }

  function card(row, part) {
    const reference = row.row_reference;
    const contact = terms([["Mobile", row.phone_mobile], ["Prefers", row.contact_preference], ["Language", row.language],
      ["Format", row.ais_format], ["Usual GP", row.usual_gp_id]]);
    const who = make("div", {},
      make("h4", {}, `${row.priority_rank ?? "–"}. `, own(nameOf(row))),
      make("p", { className: "number" }, row.nhs_number || "No NHS number"),
      make("p", {}, `Born ${row.date_of_birth || "not known"}, ${row.age_years ?? "?"} years, ${(row.sex || "sex not known").toLowerCase()}`),
      row.tier ? make("span", { className: "tag" }, row.tier) : "",
      row.is_new ? make("span", { className: "tag new" }, "New on the list") : "",
      make("span", { className: "tag answer", id: `answer-${reference}`, hidden: true }),
      contact);
    const why = make("div", {},
      items(row.why || []),
      row.data_gaps ? make("div", { className: "gaps" }, make("strong", {}, "Not known or out of date"), items(row.data_gaps.split("\n"))) : "",
      row.other_needs ? make("p", {}, make("strong", {}, "Also to cover: "), own(row.other_needs.replaceAll("\n", ", "))) : "",
      terms([["How to offer it", row.how_to_offer], ["Why waiting", row.why_waiting], ["Since last week", row.since_last_week], ["Last outcome", row.previous_outcome]]));
    const next = make("div", {}, terms([
      ["Session", row.clinic_date], ["Questions for", (row.asks || []).join(", ")], ["Waiting since", row.waiting_since],
      ["Stands at", row.state], ["Row", reference]]));
    const panel = make("details", { className: "full why" }, make("summary", {}, "Why, in full"));
    panel.firstChild.ariaLabel = `Why, in full: ${nameOf(row)}`;
    panel.addEventListener("toggle", () => { if (panel.children.length === 1) { panel.append(inFull(row)); } });
    panel.build = () => { if (panel.children.length === 1) { panel.append(inFull(row)); } };
    const made = make("li", { className: `person tier-${Math.min(row.tier_rank || 9, 9)}` }, who, why, next, panel);
    made.append(answering(row));
    if (part === "listed") { made.append(make("p", { className: "full printed" }, "Decided: ____________________________  on ______________  by (role) ____________________")); }
    return made;
  }

  function inFull(row) {
    const made = make("div", { className: "panel" });
    for (const each of row.reasons || []) {
      made.append(make("h5", {}, `${each.pathway}: what the record says`));
      made.append(make("ul", {}, ...(each.facts || []).map(([text, source]) =>
        make("li", {}, own(text), source ? make("span", { className: "source" }, ` (${source})`) : ""))));
      made.append(terms([
        ["To say to the person", each.plain],
        ["Not known, and could change the route", each.missing],
        ["Off this list if", each.off_list]]));
    }
    if ((row.questions || []).length) {
      made.append(make("h5", {}, "To decide"));
      made.append(make("ul", {}, ...row.questions.map(([question, role, choices]) =>
        make("li", {}, make("strong", {}, `${question} `), `${role}: ${choices.join("; ")}.`))));
    }
    if (row.suggested_roles) { made.append(make("p", {}, make("strong", {}, "Suggested roles: "), row.suggested_roles)); }
    if (!(row.reasons || []).length) { made.append(items(row.why || [])); }
    return made;
  }

  function tables(title, part, heads, cells, empty) {
    const place = make("div", { id: part });
    const panel = make("details", { className: "table" }, make("summary", {},
      make("h3", {}, `${title}: `, make("span", { id: `${part}-count` }))), place);
    let kept = new Set(), drawn = null;
    const fill = () => {
      if (!panel.open || drawn === kept) { return; }
      drawn = kept;
      const rows = (clinic[part] || []).filter((row) => kept.has(row));
      place.replaceChildren(rows.length ? table(title, heads, rows.map(cells)) : make("p", {}, (clinic[part] || []).length ? "Nobody here fits what is asked for." : empty));
    };
    place.fill = (found) => { kept = found; fill(); };
    panel.addEventListener("toggle", fill);
    return make("section", {}, panel);
  }

  // ------------------------------------------------------------------------------------------------ printing

  let openedToPrint = [];
  addEventListener("beforeprint", () => {
    if (!lists || !byId("whole") || !byId("whole").checked) { return; }
    byId("lists").className = "whole";
    openedToPrint = [...document.querySelectorAll("details.why:not([open])")];
    for (const each of openedToPrint) { each.build(); each.open = true; }
  });
  addEventListener("afterprint", () => {
    for (const each of openedToPrint) { each.open = false; }
    openedToPrint = [];
    byId("lists").className = "";
  });

  // ------------------------------------------------------------------------------------------------- answers

  const HEADINGS = { decision: "Decision", outcome: "Outcome", other_needs_covered: "Other needs covered (with attended)", outcome_date: "Date of it", until_date: "Booked for or deferred until",
    decision_reason: "Reason for decision", decided_by: "Decided by (role)" };
  const today = () => new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 10);
  const later = (day, days) => new Date(Date.parse(day) + days * 86400000).toISOString().slice(0, 10);

  const formOf = (row) => (row.how_to_offer ? lists.form.offer : lists.form.list);

  // What is wrong with an answer, one sentence each; what goes with what is the reader's own word (lists.form.pairs).
  function faults(answer, row) {
    const form = lists.form, pair = formOf(row).pairs[`${answer.decision || ""}|${answer.outcome || ""}`];
    const others = Object.keys(HEADINGS).some((name) => answer[name] && name !== "outcome_date");
    if (!pair && (others || !answer.concern)) { return ["Choose a decision or an outcome."]; }
    if (pair?.wrong) { return [pair.wrong]; }
    const found = Object.entries(pair?.needed || {}).filter(([name]) => !answer[name]).map(([, text]) => text);
    found.push(...Object.entries(pair?.empty || {}).filter(([name]) => answer[name]).map(([, text]) => text));
    found.push(...Object.entries(pair?.not_with || {}).map(([name, words]) => words[answer[name]]).filter(Boolean));
    const day = answer.outcome_date, until = answer.until_date;
    if (day && day > today()) { found.push("The date of it is still to come: a day to come goes into booked for."); }
    if (day && day < form.earliest) { found.push("The date of it is long before this list."); }
    if (until && day && pair?.needed?.until_date && (until < day || until > later(day, form.days_ahead))) {
      found.push("The day booked for or deferred until is before the date of it, or over a year on.");
    }
    return found;
  }

  function answering(row) {
    const panel = make("details", { className: "full answer" }, make("summary", {}, "Answer"));
    panel.firstChild.ariaLabel = `Answer: ${nameOf(row)}`;
    panel.addEventListener("toggle", () => { if (panel.children.length === 1) { panel.append(answerForm(row)); } });
    const known = answers.get(row.row_reference);
    if (known) { queueMicrotask(() => mark(row.row_reference)); }
    return panel;
  }

  function answerForm(row) {
    const reference = row.row_reference, form = lists.form, words = formOf(row).words;
    const before = answers.get(reference) || {};
    const isOffer = Boolean(row.how_to_offer);
    const controls = {
      ...(isOffer ? {} : { decision: choice(words.decision, "–") }), outcome: choice(words.outcome, "–"),
      ...(row.other_needs && !isOffer ? { other_needs_covered: choice(words.other_needs_covered, "–") } : {}),
      outcome_date: make("input", { type: "date", min: form.earliest, max: today() }),
      ...(isOffer ? {} : { until_date: make("input", { type: "date", min: form.earliest }) }),
      decision_reason: choice(words.decision_reason, "–"), decided_by: choice(words.decided_by, "–"),
    };
    const concern = make("input", { type: "checkbox", checked: Boolean(before.concern) });
    const problem = make("p", { role: "status" });
    const changed = () => {
      const answer = { concern: concern.checked ? "yes" : "" };
      for (const [name, control] of Object.entries(controls)) { answer[name] = control.value; }
      const isEmpty = Object.values(answer).every((each) => !each);
      if (isEmpty) { answers.delete(reference); } else { answers.set(reference, answer); }
      answer.faults = isEmpty ? [] : faults(answer, row);
      problem.textContent = answer.faults.join(" ");
      problem.className = answer.faults.length ? "problem" : "";
      unsaved = answers.size > 0;
      mark(reference);
      count();
    };
    for (const [name, control] of Object.entries(controls)) {
      control.value = before[name] || "";
      control.addEventListener("change", changed);
    }
    concern.addEventListener("change", changed);
    const made = make("div", { className: "answers", role: "group", ariaLabel: `Answer for ${nameOf(row)}` },
      ...Object.entries(controls).map(([name, control]) => field(HEADINGS[name], control)),
      make("label", { className: "tick" }, concern, "A concern: please look at this row and answer me"), problem);
    if (before.faults && before.faults.length) { problem.textContent = before.faults.join(" "); problem.className = "problem"; }
    return made;
  }

  function mark(reference) {
    const tag = byId(`answer-${reference}`), answer = answers.get(reference);
    if (!tag) { return; }
    tag.hidden = !answer;
    if (!answer) { return; }
    tag.className = answer.faults.length ? "tag unfit" : "tag answer";
    const words = answer.outcome || answer.decision || (answer.concern ? "concern" : "");
    tag.textContent = answer.faults.length ? "Answer not complete" : `Answer: ${words}`;
  }

  function complete() {
    return [...answers].filter(([, answer]) => !answer.faults.length);
  }

  function count() {
    const fit = complete().length, unfit = answers.size - fit;
    byId("save").disabled = !fit;
    byId("save").parentNode.className = answers.size ? "save some" : "save";
    byId("saved").textContent = `${fit} ${fit === 1 ? "answer" : "answers"} to save${unfit ? `, ${unfit} not complete and left out` : ""}.`;
  }

  function saveBar() {
    return make("div", { className: "save", role: "region", ariaLabel: "Answers" },
      make("p", { id: "saved", role: "status" }, "No answers yet. Answer here, or in the yellow cells of the workbooks beside this file; the row reference is the same."),
      make("button", { type: "button", id: "save", className: "main", disabled: true, onclick: save }, "Save answers as a file"));
  }

  // The file that `stratify returned` reads: closed words, days and row references, every cell quoted; nobody's name.
  function csv() {
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const lines = [lists.form.columns, ...complete().sort().map(([reference, answer]) => {
      const row = { ...answer, row_reference: reference, practice_code: lists.code };
      return lists.form.columns.map((name) => row[name] || "");
    })];
    return "\ufeff" + lines.map((cells) => cells.map(quoted).join(",") + "\r\n").join("");
  }

  function save() {
    const many = complete().length, stamp = `${today()}-${new Date().toTimeString().slice(0, 8).replaceAll(":", "")}`;
    const name = `answers_${lists.code}_${lists.first_day}_saved-${stamp}.csv`;
    const link = make("a", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = many < answers.size;
    byId("saved").textContent = `Saved ${many} ${many === 1 ? "answer" : "answers"} as ${name}. Send it back as you send the workbooks: into the folder for ${lists.code}.`;
  }
})();
